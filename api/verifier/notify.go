package verifier

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// A hook is a webhook that is due when its transaction has an outcome, or an alarm,
// which is due at once. It is in the queue before the transaction begins, so that none
// is forgotten. Hooks are compared with ==.
type hook struct {
	Handle string `json:"h"` // the jti of what is sent, the same in every try
	Policy string `json:"p,omitempty"`
	// Browser says that what came of it is for the browser that comes back with the
	// response code, and for nobody before.
	Browser bool  `json:"b,omitempty"`
	Until   int64 `json:"u,omitempty"` // when the transaction is forgotten
	Next    int64 `json:"n,omitempty"` // not before, Unix seconds
	Tries   int   `json:"t,omitempty"`
	// What follows is set from the first try on: since when it is due, what is said, and
	// how the last try went.
	Since   int64  `json:"s,omitempty"`
	Verdict string `json:"v,omitempty"`
	Reasons string `json:"r,omitempty"` // with spaces between
	Last    string `json:"l,omitempty"`
	// Alarm is that of an alarm, as JSON.
	Alarm string `json:"a,omitempty"`
}

// Words for what came of a request that are no verdicts; also those of [State].
const (
	wordAnswered = "answered"
	wordRefused  = "refused"
)

const (
	hookQueues = 16
	// maxHooks is the most in one queue, and maxFailing the most of one policy that failed
	// before, so that one receiver that is away keeps nobody else's requests from being
	// made. A queue is one value of store/once.
	maxHooks   = 500
	maxFailing = 100
	maxReasons = 200 // bytes
	// hookLife is for how long a webhook is tried.
	hookLife = 24 * time.Hour
	// hookPause is the longest time between two tries.
	hookPause = time.Hour
	// hookLease is for how long one process has a webhook to itself.
	hookLease = 30 * time.Second
	// hookForever: the queue itself does not expire.
	hookForever = 100 * 365 * 24 * time.Hour
	// statementLife is for how long a receiver should take what was signed.
	statementLife = 5 * time.Minute
)

var errQueue = errors.New("verifier: too many webhooks are due")

func queueKey(n int) once.Key {
	return once.KeyOf(once.Result, "webhooks", string(rune('a'+n)))
}

// change changes a list in the store. Of several processes one wins, and the others try
// again.
func change[T any](ctx context.Context, s Once, now time.Time, k once.Key, f func([]T) ([]T, error)) error {
	for range 100 {
		old, err := s.Get(ctx, now, k.Kind, k.Digest)
		var list []T
		fresh := errors.Is(err, once.ErrNone)
		if err != nil && !fresh {
			return err
		}
		if !fresh {
			if err := json.Unmarshal(old.Data, &list); err != nil {
				return err
			}
		}
		if list, err = f(list); err != nil {
			return err
		}
		next, err := value(k, now.Add(hookForever).Unix(), list)
		if err != nil {
			return err
		}
		if fresh {
			err = s.Put(ctx, next)
		} else {
			err = s.Swap(ctx, now, old, next)
		}
		if errors.Is(err, once.ErrExists) || errors.Is(err, once.ErrChanged) {
			continue
		}
		return err
	}
	return errQueue
}

func (s *Service) queue(ctx context.Context, n int, f func([]hook) ([]hook, error)) error {
	return change(ctx, s.Once, s.Now(), queueKey(n), f)
}

func queueOf(handle string) int { return int(handle[0]) % hookQueues }

// enqueue notes that a webhook will be due when a transaction has an outcome.
func (s *Service) enqueue(ctx context.Context, tx *transaction) error {
	return s.add(ctx, hook{Handle: tx.Handle, Policy: tx.Policy, Browser: tx.ReturnTo != "", Until: tx.Until})
}

// add puts a webhook into its queue. Where there is no room for it the oldest of those
// that have failed is given up.
func (s *Service) add(ctx context.Context, h hook) error {
	var gone []hook
	err := s.queue(ctx, queueOf(h.Handle), func(hooks []hook) ([]hook, error) {
		gone = nil
		failing := 0
		for _, other := range hooks {
			if other.Handle == h.Handle {
				return hooks, nil // an alarm that another process noticed, too
			}
			if other.Policy == h.Policy && other.Tries > 0 {
				failing++
			}
		}
		i := -1
		if failing >= maxFailing {
			i = slices.IndexFunc(hooks, func(other hook) bool { return other.Policy == h.Policy && other.Tries > 0 })
		} else if len(hooks) >= maxHooks {
			i = slices.IndexFunc(hooks, func(other hook) bool { return other.Tries > 0 })
		}
		if i >= 0 {
			gone = append(gone, hooks[i])
			hooks = slices.Delete(hooks, i, i+1)
		}
		if len(hooks) >= maxHooks {
			return nil, errQueue
		}
		return append(hooks, h), nil
	})
	if err != nil {
		return err
	}
	for _, g := range gone {
		s.hooks.Add("given_up")
		if err := s.bury(ctx, g); err != nil {
			return err
		}
	}
	return nil
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

// address is where a webhook goes; "" if nobody is to be told any more.
func (s *Service) address(h hook) string {
	if h.Alarm != "" {
		return s.Alarm
	}
	if p := s.Policies[h.Policy]; p != nil {
		return p.Webhook
	}
	return ""
}

// maxReceivers is how many receivers are told at once.
const maxReceivers = 16

// deliver sends the webhooks that are due: to several receivers at once, to each of them
// one after the other until one fails, so that one that is slow or away delays no other.
func (s *Service) deliver(ctx context.Context) {
	if s.Poster == nil {
		return
	}
	due := map[string][]hook{}
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
		now := s.Now().Unix()
		for _, h := range hooks {
			if now >= h.Next {
				a := s.address(h)
				due[a] = append(due[a], h)
			}
		}
	}
	var wg sync.WaitGroup
	turns := make(chan struct{}, maxReceivers)
	for _, hooks := range due {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			for _, h := range hooks {
				if ctx.Err() != nil {
					return
				}
				arrived, err := s.deliverOne(ctx, h)
				if err != nil && ctx.Err() == nil {
					s.Log.Warn("webhook", "policy", h.Policy, "err", err)
				}
				if !arrived {
					return
				}
			}
		})
	}
	wg.Wait()
}

// deliverOne sends one webhook if it is due. It returns false if the receiver did not
// take it.
func (s *Service) deliverOne(ctx context.Context, h hook) (arrived bool, err error) {
	now, to := s.Now(), s.address(h)
	if to == "" {
		_, err = s.update(ctx, h, nil)
		return true, err
	}
	leased := h
	if h.Since == 0 && h.Alarm == "" {
		o, err := s.outcome(ctx, &transaction{Handle: h.Handle})
		if err != nil {
			return true, err
		}
		if o == nil {
			if now.Unix() >= h.Until {
				_, err = s.update(ctx, h, nil)
			}
			return true, err
		}
		leased.Verdict, leased.Reasons = o.Verdict, joined(o.Reasons)
		if h.Browser && o.Verdict != wordRefused {
			leased.Verdict, leased.Reasons = wordAnswered, "" // HAIP section 5.1
		}
	}
	if h.Since == 0 {
		leased.Since = now.Unix()
	}
	leased.Next, leased.Tries = now.Add(hookLease).Unix(), h.Tries+1
	if mine, err := s.update(ctx, h, &leased); err != nil || !mine {
		return true, err
	}
	token, err := s.statement(leased, to, now)
	if err != nil {
		return true, err
	}
	status, err := s.Poster.Post(ctx, to, "application/jwt", []byte(token))
	ctx = context.WithoutCancel(ctx) // what came of it is noted also when the server is to end
	if err == nil && status >= 200 && status < 300 {
		s.hooks.Add("delivered")
		_, err = s.update(ctx, leased, nil)
		return true, err
	}
	again := leased
	again.Last = "status_" + strconv.Itoa(status)
	if err != nil {
		again.Last = updateWord(err)
	}
	wait := min(hookPause, time.Second<<min(leased.Tries, 20))
	again.Next = now.Add(wait).Unix()
	if again.Next >= leased.Since+int64(hookLife/time.Second) {
		s.hooks.Add("given_up")
		return false, errors.Join(err, s.bury(ctx, again), s.forget(ctx, leased))
	}
	s.hooks.Add("retried")
	_, postponed := s.update(ctx, leased, &again)
	return false, errors.Join(err, postponed)
}

func (s *Service) forget(ctx context.Context, h hook) error {
	_, err := s.update(ctx, h, nil)
	return err
}

// joined is a list of reasons in one text, those that there is room for.
func joined(reasons []string) string {
	text := ""
	for _, r := range reasons {
		if len(text)+len(r) < maxReasons {
			text = strings.TrimSpace(text + " " + r)
		}
	}
	return text
}

// statement is what is sent in this try: signed now, and to be taken for minutes only.
func (s *Service) statement(h hook, to string, now time.Time) (string, error) {
	claims := map[string]any{
		"iss": s.URL, "aud": to, "iat": now.Unix(), "exp": now.Add(statementLife).Unix(), "jti": h.Handle, "try": int64(h.Tries),
	}
	typ := "sanad-webhook+jwt"
	if h.Alarm != "" {
		typ = "sanad-alarm+jwt"
		var said map[string]string
		if err := json.Unmarshal([]byte(h.Alarm), &said); err != nil {
			return "", err
		}
		for name, v := range said {
			claims[name] = v
		}
	} else {
		claims["policy"], claims["verdict"], claims["reasons"] = h.Policy, h.Verdict, anys(strings.Fields(h.Reasons))
	}
	return s.sign(typ, claims, now)
}

// A Webhook is one that waits or was given up, for the operator.
type Webhook struct {
	// ID is the handle of its request, or that of an alarm: the jti of what is sent.
	ID string `json:"id"`
	// Policy is that of the request, empty for an alarm.
	Policy string `json:"policy,omitempty"`
	// State is pending (there is no outcome yet), retrying, or given_up.
	State string `json:"state"`
	Tries int    `json:"tries"`
	// Since is from when on it was due, Next when it is tried again.
	Since time.Time `json:"since,omitzero"`
	Next  time.Time `json:"next,omitzero"`
	// Last is how the last try went: status_503, or a word such as no_answer.
	Last string `json:"last,omitempty"`
}

func (h hook) webhook(state string) Webhook {
	at := func(n int64) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return time.Unix(n, 0).UTC()
	}
	w := Webhook{ID: h.Handle, Policy: h.Policy, State: state, Tries: h.Tries, Since: at(h.Since), Last: h.Last}
	if state == WebhookRetrying {
		w.Next = at(h.Next)
	}
	return w
}

// States of a [Webhook].
const (
	WebhookRetrying = "retrying"
	WebhookGivenUp  = "given_up"
)

// A buried webhook was given up. It can be sent once more for some weeks.
type buried struct {
	Hook hook  `json:"h"`
	At   int64 `json:"at"` // Unix seconds
}

const (
	maxBuried   = 200 // in one queue; the oldest go first
	buriedLife  = 30 * 24 * time.Hour
	buriedQueue = "given up"
)

func buriedKey(n int) once.Key {
	return once.KeyOf(once.Result, "webhooks", buriedQueue, string(rune('a'+n)))
}

// bury keeps a webhook that was given up where the operator sees it.
func (s *Service) bury(ctx context.Context, h hook) error {
	now := s.Now()
	return change(ctx, s.Once, now, buriedKey(queueOf(h.Handle)), func(list []buried) ([]buried, error) {
		list = slices.DeleteFunc(list, func(b buried) bool {
			return b.Hook.Handle == h.Handle || now.Unix()-b.At > int64(buriedLife/time.Second)
		})
		if len(list) >= maxBuried {
			list = slices.Delete(list, 0, len(list)-maxBuried+1)
		}
		return append(list, buried{h, now.Unix()}), nil
	})
}

// Webhooks lists what waits and what was given up, for the operator's commands. Those
// whose request has no outcome yet are counted only.
func Webhooks(ctx context.Context, s Once, now time.Time) (all []Webhook, pending int, err error) {
	for n := range hookQueues {
		var hooks []hook
		if err := list(ctx, s, now, queueKey(n), &hooks); err != nil {
			return nil, 0, err
		}
		for _, h := range hooks {
			if h.Since == 0 {
				pending++
			} else {
				all = append(all, h.webhook(WebhookRetrying))
			}
		}
		var gone []buried
		if err := list(ctx, s, now, buriedKey(n), &gone); err != nil {
			return nil, 0, err
		}
		for _, b := range gone {
			all = append(all, b.Hook.webhook(WebhookGivenUp))
		}
	}
	slices.SortFunc(all, func(a, b Webhook) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	return all, pending, nil
}

func list(ctx context.Context, s Once, now time.Time, k once.Key, into any) error {
	v, err := s.Get(ctx, now, k.Kind, k.Digest)
	if errors.Is(err, once.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(v.Data, into)
}

// ErrNoWebhook: none with this id was given up.
var ErrNoWebhook = errors.New("verifier: no such webhook was given up")

// RetryWebhook puts a webhook that was given up into the queue once more, for another day.
// With drop it is forgotten instead.
func RetryWebhook(ctx context.Context, s Once, now time.Time, id string, drop bool) error {
	if id == "" {
		return ErrNoWebhook
	}
	var found *hook
	if err := change(ctx, s, now, buriedKey(queueOf(id)), func(list []buried) ([]buried, error) {
		found = nil
		i := slices.IndexFunc(list, func(b buried) bool { return b.Hook.Handle == id })
		if i < 0 {
			return nil, ErrNoWebhook
		}
		h := list[i].Hook
		found = &h
		if !drop { // it stays until it is in the queue
			return list, nil
		}
		return slices.Delete(list, i, i+1), nil
	}); err != nil || drop {
		return err
	}
	found.Since, found.Next, found.Tries = now.Unix(), 0, 0
	if err := change(ctx, s, now, queueKey(queueOf(id)), func(hooks []hook) ([]hook, error) {
		if len(hooks) >= maxHooks {
			return nil, errQueue
		}
		if slices.ContainsFunc(hooks, func(h hook) bool { return h.Handle == id }) {
			return hooks, nil
		}
		return append(hooks, *found), nil
	}); err != nil {
		return err
	}
	return RetryWebhook(ctx, s, now, id, true)
}
