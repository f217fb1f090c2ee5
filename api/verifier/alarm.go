package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/store/once"
)

const (
	// watchEvery is how often the server looks at what ages.
	watchEvery = time.Minute
	// alarmLife is for how long it is remembered that an alarm was given.
	alarmLife = 400 * 24 * time.Hour
)

// watch says in the log, and to who is to be told, what has aged since it last looked.
// It is for one goroutine.
func (s *Service) watch(ctx context.Context) {
	for _, f := range s.status().Items {
		key := f.What + " " + f.Subject
		was, known := s.levels[key]
		if !known {
			was = LevelFresh
		}
		s.levels[key] = f.Level
		if f.Level == was {
			continue
		}
		if worse(was, f.Level) == was {
			s.Log.Info("fresher", "what", f.What, "subject", f.Subject, "level", f.Level)
			continue
		}
		s.Log.Warn("ageing", "what", f.What, "subject", f.Subject, "level", f.Level, "due", stamp(f.Due), "old", stamp(f.Old), "name", f.Names["en"])
		if s.Alarm == "" {
			continue
		}
		if err := s.alarm(ctx, f); err != nil {
			s.levels[key] = was // in a minute again
			if ctx.Err() == nil {
				s.Log.Error("alarm", "err", err)
			}
		}
	}
}

// stamp is a time as alarms and logs have it, "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// alarm has the operator told, once for all processes and restarts: the id of an alarm is
// made from what it says.
func (s *Service) alarm(ctx context.Context, f Freshness) error {
	b, err := json.Marshal(map[string]string{"what": f.What, "subject": f.Subject, "level": string(f.Level), "due": stamp(f.Due), "old": stamp(f.Old)})
	if err != nil {
		return err
	}
	now := s.Now()
	k := once.KeyOf(once.Result, "alarm", string(b))
	if _, err := s.Once.Get(ctx, now, k.Kind, k.Digest); err == nil {
		return nil
	} else if !errors.Is(err, once.ErrNone) {
		return err
	}
	if err := s.add(ctx, hook{Handle: handleOf("sanad verifier alarm " + string(b)), Alarm: string(b)}); err != nil {
		return err
	}
	v, err := value(k, now.Add(alarmLife).Unix(), true)
	if err != nil {
		return err
	}
	if err := s.Once.Put(ctx, v); err != nil && !errors.Is(err, once.ErrExists) {
		return err
	}
	return nil
}

// figures are those of what ages. Subjects come from the trust bundle.
func (s *Service) figures() {
	labels := []string{"what", "subject"}
	samples := func(of func(Freshness) time.Time) func() []web.Sample {
		return func() []web.Sample {
			st := s.status()
			var all []web.Sample
			for _, f := range st.Items {
				if end := of(f); !end.IsZero() {
					all = append(all, web.Sample{Labels: []string{f.What, f.Subject}, Value: end.Sub(st.Now).Seconds()})
				}
			}
			return all
		}
	}
	s.Metrics.Gauges("verifier_seconds_until_due", "How long until something newer should be there, by what; below 0 if it is overdue.", labels,
		samples(func(f Freshness) time.Time { return f.Due }))
	s.Metrics.Gauges("verifier_seconds_until_old", "How long until it counts for little or nothing; below 0 if it does already.", labels,
		samples(func(f Freshness) time.Time { return f.Old }))
	s.Metrics.Gauges("verifier_updates_failed", "Whether the last try of a source of trust brought nothing: 1 or 0.", []string{"source"}, func() []web.Sample {
		var all []web.Sample
		for _, u := range s.status().Updates {
			failed := 0.0
			if u.Outcome != "" && !(Source{Outcome: u.Outcome}).Well() {
				failed = 1
			}
			all = append(all, web.Sample{Labels: []string{strconv.Itoa(u.Source)}, Value: failed})
		}
		return all
	})
}
