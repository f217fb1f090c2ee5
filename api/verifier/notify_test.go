package verifier_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
)

// webhooks lists what waits or was given up.
func (s *scene) webhooks(t *testing.T) (all []verifier.Webhook, pending int) {
	t.Helper()
	all, pending, err := verifier.Webhooks(t.Context(), s.db, s.now())
	if err != nil {
		t.Fatal(err)
	}
	return all, pending
}

// deliver lets the server try for some time, in steps.
func (s *scene) deliver(t *testing.T, steps int, step time.Duration) {
	t.Helper()
	for range steps {
		s.clock.Add(int64(step))
		s.service.Deliver(t.Context())
	}
}

// TestWebhookGivenUp: one that never arrives is tried for a day, less and less often,
// and is then to be seen, tried once more with the same id, or dropped.
func TestWebhookGivenUp(t *testing.T) {
	s := newScene(t)
	s.posts.answer(0)
	c := s.create(t, object{"policy": "card"})
	if _, pending := s.webhooks(t); pending != 1 {
		t.Fatalf("%d requests without an outcome, want 1", pending)
	}
	s.respond(t, c.Link)
	s.deliver(t, 1, time.Second)
	all, pending := s.webhooks(t)
	if len(all) != 1 || pending != 0 || all[0].ID != c.Handle || all[0].State != verifier.WebhookRetrying || all[0].Tries != 1 || all[0].Last != "storage" || all[0].Next.IsZero() {
		t.Fatalf("after one failure: %+v, %d pending", all, pending)
	}
	s.deliver(t, 25*12, 5*time.Minute) // the request itself is long forgotten
	all, _ = s.webhooks(t)
	if len(all) != 1 || all[0].State != verifier.WebhookGivenUp || all[0].Policy != "card" {
		t.Fatalf("after a day: %+v", all)
	}
	tries := len(s.posts.all())
	if tries < 30 || tries > 40 {
		t.Errorf("%d tries in a day", tries)
	}
	if err := verifier.RetryWebhook(t.Context(), s.db, s.now(), "another", false); err == nil {
		t.Error("one that is not there is tried once more")
	}
	if err := verifier.RetryWebhook(t.Context(), s.db, s.now(), c.Handle, false); err != nil {
		t.Fatal(err)
	}
	s.posts.answer(http.StatusOK)
	s.deliver(t, 2, time.Second)
	sent := s.posts.all()
	if len(sent) != tries+1 {
		t.Fatalf("%d messages after one more try, want %d", len(sent), tries+1)
	}
	v := s.statement(t, sent[tries], "sanad-webhook+jwt")
	jti, _ := v.Get("jti").Text()
	verdict, _ := v.Get("verdict").Text()
	iat, _ := v.Get("iat").Int()
	exp, _ := v.Get("exp").Int()
	if jti != c.Handle || verdict != "valid" || iat != s.now().Add(-time.Second).Unix() || exp-iat != 300 {
		t.Errorf("the last message: jti %s, verdict %s, iat %d, exp %d", jti, verdict, iat, exp)
	}
	if all, pending := s.webhooks(t); len(all) != 0 || pending != 0 {
		t.Errorf("something is left: %+v, %d", all, pending)
	}
	// One without an answer is forgotten, and one that was given up can be dropped.
	s.create(t, object{"policy": "card"})
	s.deliver(t, 2, time.Hour)
	if _, pending := s.webhooks(t); pending != 0 || s.service.Queued(t.Context()) != 0 {
		t.Errorf("%d wait for an outcome that cannot come", pending)
	}
	s.posts.answer(http.StatusTeapot)
	c = s.create(t, object{"policy": "card"})
	s.respond(t, c.Link)
	s.deliver(t, 26*6, 10*time.Minute)
	if all, _ := s.webhooks(t); len(all) != 1 || all[0].Last != "status_418" {
		t.Fatalf("%+v", all)
	}
	if err := verifier.RetryWebhook(t.Context(), s.db, s.now(), c.Handle, true); err != nil {
		t.Fatal(err)
	}
	if all, _ := s.webhooks(t); len(all) != 0 {
		t.Errorf("dropped, and still there: %+v", all)
	}
}

// TestWebhookBeforeTheBrowser: in the flow on one device nobody learns what came of it
// before the browser has come back (HAIP section 5.1, corpus VP-03): who was sent a request
// of somebody else's would have answered for that one's browser.
func TestWebhookBeforeTheBrowser(t *testing.T) {
	for _, tt := range []struct {
		name, returnTo string
		answer         func(s *scene, r *oid4vp.Request) url.Values
		verdict        string
	}{
		{"a good answer", "https://library.example/done", func(s *scene, r *oid4vp.Request) url.Values { return s.present(t, r) }, "answered"},
		{"one that is not valid", "https://library.example/done", func(s *scene, r *oid4vp.Request) url.Values {
			s.token.Expires = now.Add(-time.Second)
			return s.present(t, r)
		}, "answered"},
		{"a refusal", "https://library.example/done", func(_ *scene, r *oid4vp.Request) url.Values {
			return r.Refuse(&oid4vp.Error{Code: oid4vp.AccessDenied})
		}, "refused"},
		{"a good answer on another device", "", func(s *scene, r *oid4vp.Request) url.Values { return s.present(t, r) }, "valid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			body := object{"policy": "card"}
			if tt.returnTo != "" {
				body["return_to"], body["browser"] = tt.returnTo, browser
			}
			r := s.open(t, s.create(t, body).Link)
			s.post(t, r, tt.answer(s, r))
			s.deliver(t, 1, time.Second)
			sent := s.posts.all()
			if len(sent) != 1 {
				t.Fatalf("%d messages", len(sent))
			}
			v := s.statement(t, sent[0], "sanad-webhook+jwt")
			if verdict, _ := v.Get("verdict").Text(); verdict != tt.verdict || v.Get("reasons").Len() > 0 {
				t.Errorf("the message says %s, %d reasons, want %s", verdict, v.Get("reasons").Len(), tt.verdict)
			}
		})
	}
}

// TestWebhookSurvives: a receiver that fails at first gets the message from the server
// that is started after the one that took the answer was killed.
func TestWebhookSurvives(t *testing.T) {
	s := newScene(t)
	s.posts.answer(http.StatusBadGateway)
	c := s.create(t, object{"policy": "card"})
	s.respond(t, c.Link)
	s.deliver(t, 1, time.Second)
	_ = s.db.Close() // what a kill leaves is what was stored
	db, err := once.Open(t.Context(), s.path, once.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s.db = db
	s.service = s.serve(t)
	s.posts.answer(http.StatusOK)
	s.deliver(t, 3, 10*time.Second)
	sent := s.posts.all()
	if len(sent) != 2 {
		t.Fatalf("%d messages, want one that failed and one that arrived", len(sent))
	}
	for i, text := range sent {
		v := s.statement(t, text, "sanad-webhook+jwt")
		jti, _ := v.Get("jti").Text()
		try, _ := v.Get("try").Int()
		if jti != c.Handle || try != int64(i+1) {
			t.Errorf("message %d: jti %s, try %d", i, jti, try)
		}
	}
}

// TestWebhookReceivers: a receiver that is away costs one try a round and no other
// receiver its message, and does not fill the queue.
func TestWebhookReceivers(t *testing.T) {
	s := newScene(t)
	s.posts.answer(0)
	for range 3 {
		s.respond(t, s.create(t, object{"policy": "card"}).Link)
	}
	s.deliver(t, 1, time.Second)
	if n := len(s.posts.all()); n != 1 {
		t.Errorf("%d tries of a receiver that is away in one round, want 1", n)
	}
	s.posts.answer(http.StatusOK)
	s.deliver(t, 1, time.Minute)
	if n := len(s.posts.all()); n != 4 {
		t.Errorf("%d messages in all, want 1 that failed and 3", n)
	}
	for i := range verifier.MaxFailing + 20 {
		if err := s.service.AddFailed(t.Context(), i, "card"); err != nil {
			t.Fatalf("webhook %d: %v", i, err)
		}
	}
	if n := s.service.Queued(t.Context()); n != verifier.MaxFailing {
		t.Errorf("%d failing webhooks of one policy are in one queue, want %d", n, verifier.MaxFailing)
	}
	all, _ := s.webhooks(t)
	given := 0
	for _, h := range all {
		if h.State == verifier.WebhookGivenUp {
			given++
		}
	}
	if given != 20 {
		t.Errorf("%d were given up for want of room, want 20", given)
	}
}

// TestAlarm: who is to be told is told once when something ages, also by two servers and
// after a restart, and the log says it.
func TestAlarm(t *testing.T) {
	s := newScene(t)
	s.alarmTo = "https://monitor.example/alarm"
	s.service = s.serve(t)
	s.service.LookAround(t.Context())
	s.deliver(t, 1, time.Second)
	if n := len(s.posts.all()); n != 0 {
		t.Fatalf("%d alarms while everything is fresh", n)
	}
	s.clock.Add(int64(6 * 24 * time.Hour)) // the lists are due
	for range 2 {
		s.service.LookAround(t.Context())
	}
	s.service = s.serve(t) // another server, or the same after a restart
	s.service.LookAround(t.Context())
	s.deliver(t, 3, time.Second)
	got := map[string]string{}
	for _, text := range s.posts.all() {
		v := s.statement(t, text, "sanad-alarm+jwt")
		what, _ := v.Get("what").Text()
		subject, _ := v.Get("subject").Text()
		level, _ := v.Get("level").Text()
		aud, _ := v.Get("aud").Text()
		if _, twice := got[what+" "+subject]; twice || aud != s.alarmTo {
			t.Errorf("%s %s is told twice, or to %s", what, subject, aud)
		}
		got[what+" "+subject] = level
	}
	want := map[string]string{"lists " + farmer: "due", "lists " + diploma: "due"}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("alarms %v, want %s of %s", got, v, k)
		}
	}
	if len(got) != len(want) {
		t.Errorf("alarms %v, want %v", got, want)
	}
	if log := s.log.String(); !strings.Contains(log, `"msg":"ageing","what":"lists","subject":"urn:xa:farmer:1","level":"due"`) {
		t.Errorf("the log does not say that lists are due: %.3000s", log)
	}
}

// TestFigures: the figures and the private port say what ages, and the server goes on.
func TestFigures(t *testing.T) {
	s := newScene(t)
	s.clock.Add(int64(6*24*time.Hour + 2*time.Hour))
	text := string(s.call(t, "GET", s.server.PrivateURL()+"/metrics", "", nil).body)
	for _, want := range []string{
		`sanad_verifier_seconds_until_due{subject="urn:xa:farmer:1",what="lists"} -14400`,
		`sanad_verifier_seconds_until_old{subject="urn:xa:farmer:1",what="lists"} 1.9728e+06`,
		`sanad_verifier_seconds_until_due{subject="",what="bundle"} 244800`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the figures lack %s", want)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		g := s.call(t, "GET", s.server.PrivateURL()+path, "", nil)
		if g.status != http.StatusOK || !strings.Contains(string(g.body), `"degraded":["lists due"]`) {
			t.Errorf("%s: %d %s", path, g.status, g.body)
		}
		if g := s.call(t, "GET", path, "", nil); g.status != http.StatusOK || strings.Contains(string(g.body), "degraded") {
			t.Errorf("%s on the public port: %d %s", path, g.status, g.body)
		}
	}
}
