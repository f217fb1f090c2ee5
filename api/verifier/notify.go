package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/store/once"
)

// sign signs a statement of the server: a receipt or a webhook. The type tells it
// from a request.
func (s *Service) sign(typ string, claims map[string]any, now time.Time) (string, error) {
	sig, err := s.Signature(now)
	if err != nil {
		return "", err
	}
	payload, err := strict.AppendJSON(nil, claims)
	if err != nil {
		return "", err
	}
	token, err := jose.Sign(s.Rand, sig.Signer, jose.Header{Type: typ, KeyID: sig.KeyID, X5C: sig.X5C}, payload)
	return string(token), err
}

// receipt states what was presented by its digest, the verdict and the time. It says
// nothing about a person.
func (s *Service) receipt(now time.Time, tx *transaction, r *Result) (string, error) {
	return s.sign("sanad-receipt+jwt", map[string]any{
		"iss": s.URL, "iat": now.Unix(), "jti": tx.Handle, "policy": tx.Policy, "policy_version": int64(tx.Version),
		"digest": r.Digest, "verdict": r.word(), "reasons": anys(r.Reasons),
	}, now)
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}

// A hook is a webhook that is due when its transaction has an outcome. It is in the
// queue before the transaction begins, so that none is forgotten.
type hook struct {
	Handle string `json:"h"`
	Policy string `json:"p"`
	Until  int64  `json:"u"`
	Next   int64  `json:"n"` // not before, Unix seconds
	Tries  int    `json:"t"`
}

const (
	hookQueues = 16
	maxHooks   = 2000 // in one queue
	hookTries  = 8
	// hookLease is for how long one process has a webhook to itself.
	hookLease = 30 * time.Second
	// hookForever: the queue itself does not expire.
	hookForever = 100 * 365 * 24 * time.Hour
)

var errQueue = errors.New("verifier: too many webhooks are due")

func queueKey(n int) once.Key {
	return once.KeyOf(once.Result, "webhooks", string(rune('a'+n)))
}

// queue changes one queue. Of several processes one wins, and the others try again.
func (s *Service) queue(ctx context.Context, n int, change func([]hook) ([]hook, error)) error {
	k := queueKey(n)
	for range 100 {
		now := s.Now()
		old, err := s.Once.Get(ctx, now, k.Kind, k.Digest)
		var hooks []hook
		fresh := errors.Is(err, once.ErrNone)
		if err != nil && !fresh {
			return err
		}
		if !fresh {
			if err := json.Unmarshal(old.Data, &hooks); err != nil {
				return err
			}
		}
		if hooks, err = change(hooks); err != nil {
			return err
		}
		next, err := value(k, now.Add(hookForever).Unix(), hooks)
		if err != nil {
			return err
		}
		if fresh {
			err = s.Once.Put(ctx, next)
		} else {
			err = s.Once.Swap(ctx, now, old, next)
		}
		if errors.Is(err, once.ErrExists) || errors.Is(err, once.ErrChanged) {
			continue
		}
		return err
	}
	return errQueue
}

func queueOf(handle string) int { return int(handle[0]) % hookQueues }

// enqueue notes that a webhook will be due.
func (s *Service) enqueue(ctx context.Context, tx *transaction) error {
	return s.queue(ctx, queueOf(tx.Handle), func(hooks []hook) ([]hook, error) {
		if len(hooks) >= maxHooks {
			return nil, errQueue
		}
		return append(hooks, hook{Handle: tx.Handle, Policy: tx.Policy, Until: tx.Until}), nil
	})
}

// update replaces or, with nil, removes one webhook, if it still is as it was.
func (s *Service) update(ctx context.Context, was hook, is *hook) (done bool, err error) {
	err = s.queue(ctx, queueOf(was.Handle), func(hooks []hook) ([]hook, error) {
		i := slices.Index(hooks, was)
		if done = i >= 0; !done {
			return hooks, nil
		}
		if is == nil {
			return slices.Delete(hooks, i, i+1), nil
		}
		hooks[i] = *is
		return hooks, nil
	})
	return done && err == nil, err
}

// deliver sends the webhooks that are due.
func (s *Service) deliver(ctx context.Context) {
	if s.Poster == nil {
		return
	}
	for n := range hookQueues {
		k := queueKey(n)
		v, err := s.Once.Get(ctx, s.Now(), k.Kind, k.Digest)
		if err != nil {
			continue // there is none, or it is tried again in a second
		}
		var hooks []hook
		if err := json.Unmarshal(v.Data, &hooks); err != nil {
			s.Log.Error("the queue of webhooks cannot be read", "err", err)
			continue
		}
		for _, h := range hooks {
			if ctx.Err() != nil {
				return
			}
			if err := s.deliverOne(ctx, h); err != nil {
				s.Log.Warn("webhook", "policy", h.Policy, "err", err)
			}
		}
	}
}

func (s *Service) deliverOne(ctx context.Context, h hook) error {
	now := s.Now()
	p := s.Policies[h.Policy]
	if now.Unix() < h.Next {
		return nil
	}
	o, err := s.outcome(ctx, &transaction{Handle: h.Handle})
	if err != nil {
		return err
	}
	if o == nil || p == nil || p.Webhook == "" {
		if now.Unix() >= h.Until || p == nil || p.Webhook == "" {
			_, err = s.update(ctx, h, nil)
		}
		return err
	}
	leased := h
	leased.Next, leased.Tries = now.Add(hookLease).Unix(), h.Tries+1
	if mine, err := s.update(ctx, h, &leased); err != nil || !mine {
		return err
	}
	token, err := s.sign("sanad-webhook+jwt", map[string]any{
		"iss": s.URL, "aud": p.Webhook, "iat": now.Unix(), "jti": h.Handle, "policy": h.Policy, "verdict": o.Verdict, "reasons": anys(o.Reasons),
	}, now)
	if err != nil {
		return err
	}
	status, err := s.Poster.Post(ctx, p.Webhook, "application/jwt", []byte(token))
	switch {
	case err == nil && status >= 200 && status < 300:
		s.hooks.Add("delivered")
		_, err = s.update(ctx, leased, nil)
		return err
	case leased.Tries >= hookTries:
		s.hooks.Add("given_up")
		_, dropped := s.update(ctx, leased, nil)
		return errors.Join(err, dropped)
	}
	s.hooks.Add("retried")
	again := leased
	again.Next = now.Add(time.Second << leased.Tries).Unix()
	_, postponed := s.update(ctx, leased, &again)
	return errors.Join(err, postponed)
}
