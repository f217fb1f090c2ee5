package keys_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

func newInt(b []byte) *big.Int { return new(big.Int).SetBytes(b) }

func TestPurposes(t *testing.T) {
	for _, p := range keys.Purposes() {
		if got, err := keys.ParsePurpose(string(p)); err != nil || got != p {
			t.Errorf("ParsePurpose(%q): %q, %v", string(p), got, err)
		}
	}
	for _, name := range []string{"", "Credential", "credential ", "status list", "tls"} {
		if got, err := keys.ParsePurpose(name); err == nil {
			t.Errorf("ParsePurpose(%q): %q", name, got)
		}
	}
	if got, want := keys.StatusList.String(), "status list"; got != want {
		t.Errorf("String: %q, want %q", got, want)
	}
}

func TestKeyAsJSON(t *testing.T) {
	k := keystest.Key(t, keys.StatusList, keys.ES384, "a")
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"purpose":"status_list"`, `"state":"active"`, `"crv":"P-384"`} {
		if !strings.Contains(string(b), word) {
			t.Errorf("%s lacks %s", b, word)
		}
	}
	var back keys.Key
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(k, back); diff != "" {
		t.Errorf("through JSON (-want +got):\n%s", diff)
	}
}

func TestSpecDefaults(t *testing.T) {
	for p, want := range map[keys.Purpose]struct {
		alg   keys.Algorithm
		years int
	}{
		keys.Credential: {keys.ES256, 1}, keys.StatusList: {keys.ES256, 1}, keys.TrustBundle: {keys.ES256, 1},
		keys.TrustRoot: {keys.ES256, 10}, keys.Audit: {keys.EdDSA, 5},
	} {
		k, alg, err := keys.Spec{Purpose: p, Created: now.Add(300 * time.Millisecond).In(time.FixedZone("", 3600))}.Plan()
		if err != nil || alg != want.alg || k.Created != now || k.SignFrom != now || k.SignUntil != now.AddDate(want.years, 0, 0) || !k.VerifyUntil.IsZero() {
			t.Errorf("%s: %+v for %s, %v", p, k, alg, err)
		}
	}
}

func TestSigningKey(t *testing.T) {
	key := func(name string, change func(*keys.Key)) keys.Key {
		k := keystest.Key(t, keys.Credential, keys.ES256, name)
		if change != nil {
			change(&k)
		}
		return k
	}
	old := key("old", nil)
	fresh := key("fresh", func(k *keys.Key) { k.SignFrom = now.AddDate(0, -1, 0) })
	planned := key("planned", func(k *keys.Key) { k.State = keys.Planned })
	retired := key("retired", func(k *keys.Key) { k.State, k.SignFrom = keys.Retired, now.AddDate(0, 0, -1) })
	expired := key("expired", func(k *keys.Key) { k.SignUntil = now })
	later := key("later", func(k *keys.Key) { k.SignFrom = now.Add(time.Second) })
	status := key("status", func(k *keys.Key) { k.Purpose, k.SignFrom = keys.StatusList, now })

	got, err := keys.SigningKey([]keys.Key{old, retired, fresh, expired, later, status, planned}, keys.Credential, now)
	if err != nil || got.ID() != fresh.ID() {
		t.Errorf("SigningKey: %v, %v, want %v", got, err, fresh)
	}
	got, err = keys.SigningKey([]keys.Key{fresh, old}, keys.Credential, now)
	if err != nil || got.ID() != fresh.ID() {
		t.Errorf("SigningKey in another order: %v, %v, want %v", got, err, fresh)
	}
	for name, tt := range map[string]struct {
		all  []keys.Key
		also error
		hint string
	}{
		"none at all":        {nil, nil, "rotate to make one"},
		"of another purpose": {[]keys.Key{status}, nil, "rotate to make one"},
		"planned":            {[]keys.Key{planned}, keys.ErrNotActive, "publish it"},
		"retired":            {[]keys.Key{retired}, keys.ErrNotActive, "retired"},
		"expired":            {[]keys.Key{expired}, keys.ErrSignWindow, "rotate to a new key"},
		"the newest decides": {[]keys.Key{retired, planned, expired}, keys.ErrSignWindow, "rotate to a new key"},
	} {
		_, err := keys.SigningKey(tt.all, keys.Credential, now)
		if !errors.Is(err, keys.ErrNoKey) || tt.also != nil && !errors.Is(err, tt.also) || !strings.Contains(err.Error(), tt.hint) {
			t.Errorf("%s: SigningKey: %v, want ErrNoKey, %v and %q", name, err, tt.also, tt.hint)
		}
	}
}

func TestTransitionsRefused(t *testing.T) {
	k := keystest.Key(t, keys.Credential, keys.ES256, "a")
	in := func(s keys.State) keys.Key {
		k := k
		k.State = s
		if s == keys.Compromised {
			k.CompromisedSince = now
		}
		return k
	}
	unpublished := in(keys.Planned)
	unpublished.Published = time.Time{}
	over := in(keys.Planned)
	over.SignUntil = now
	for name, tt := range map[string]struct {
		do   func() (keys.Key, error)
		want error
	}{
		"activate an active key":           {func() (keys.Key, error) { return in(keys.Active).Activate(now, 0) }, keys.ErrTransition},
		"activate a retired key":           {func() (keys.Key, error) { return in(keys.Retired).Activate(now, 0) }, keys.ErrTransition},
		"activate a compromised key":       {func() (keys.Key, error) { return in(keys.Compromised).Activate(now, 0) }, keys.ErrTransition},
		"activate what nobody has":         {func() (keys.Key, error) { return unpublished.Activate(now, 0) }, keys.ErrNotPublished},
		"activate what few have":           {func() (keys.Key, error) { return in(keys.Planned).Activate(k.Published.Add(time.Hour), 2*time.Hour) }, keys.ErrNotPublished},
		"activate after its window":        {func() (keys.Key, error) { return over.Activate(now, 0) }, keys.ErrSignWindow},
		"activate with a negative margin":  {func() (keys.Key, error) { return in(keys.Planned).Activate(now, -1) }, nil},
		"retire a planned key":             {func() (keys.Key, error) { return in(keys.Planned).Retire(now) }, keys.ErrTransition},
		"retire a retired key":             {func() (keys.Key, error) { return in(keys.Retired).Retire(now) }, keys.ErrTransition},
		"retire a compromised key":         {func() (keys.Key, error) { return in(keys.Compromised).Retire(now) }, keys.ErrTransition},
		"compromise later than said":       {func() (keys.Key, error) { return in(keys.Compromised).Compromise(now.Add(time.Second)) }, keys.ErrTransition},
		"compromise without a date":        {func() (keys.Key, error) { return in(keys.Active).Compromise(time.Time{}) }, nil},
		"publish an unpublished, active":   {func() (keys.Key, error) { k := unpublished; k.State = keys.Active; return k.Publish(now) }, keys.ErrTransition},
		"publish before it was made":       {func() (keys.Key, error) { return unpublished.Publish(k.Created.Add(-time.Second)) }, keys.ErrTransition},
		"bootstrap where there is one":     {func() (keys.Key, error) { return bootstrapTwice(t) }, keys.ErrTransition},
		"bootstrap for an unknown purpose": {func() (keys.Key, error) { return keys.Bootstrap(t.Context(), new(keystest.Memory), keys.Spec{}) }, nil},
	} {
		got, err := tt.do()
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, tt.want)
		}
	}
	if again, err := in(keys.Active).Publish(now); err != nil || !again.Published.Equal(k.Published) {
		t.Errorf("publish again: %v, %v, want no change", again.Published, err)
	}
}

func bootstrapTwice(t *testing.T) (keys.Key, error) {
	m, spec := new(keystest.Memory), keys.Spec{Purpose: keys.TrustRoot, Created: now}
	k, err := keys.Bootstrap(t.Context(), m, spec)
	if err != nil || k.MaySign(now) != nil {
		t.Errorf("Bootstrap: %v, %v", k, err)
	}
	return keys.Bootstrap(t.Context(), m, spec)
}

// TestLivesAreLegal applies random steps at random times to a key: whatever
// comes out is a step that CheckUpdate allows, never goes back, and signs only
// while active, published and within its window.
func TestLivesAreLegal(t *testing.T) {
	order := map[keys.State]int{keys.Planned: 0, keys.Active: 1, keys.Retired: 2, keys.Compromised: 3}
	public := keystest.Key(t, keys.Credential, keys.ES256, "a").Public
	rapid.Check(t, func(t *rapid.T) {
		k, _, err := keys.Spec{Purpose: keys.Credential, Created: now, SignFrom: now.AddDate(0, rapid.IntRange(0, 3).Draw(t, "from"), 0)}.Plan()
		if err != nil {
			t.Fatal(err)
		}
		k.Public = public
		for range 12 {
			at := now.Add(time.Duration(rapid.IntRange(-100, 12000).Draw(t, "hours")) * time.Hour)
			margin := time.Duration(rapid.IntRange(0, 200).Draw(t, "margin")) * time.Hour
			next, err := k, error(nil)
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				next, err = k.Publish(at)
			case 1:
				next, err = k.Activate(at, margin)
			case 2:
				next, err = k.Retire(at)
			case 3:
				next, err = k.Compromise(at)
			}
			if err != nil {
				if diff := cmp.Diff(k, next); diff != "" {
					t.Fatalf("a refused step changed the key:\n%s", diff)
				}
				continue
			}
			if err := k.CheckUpdate(next); err != nil {
				t.Fatalf("from %+v to %+v: %v", k, next, err)
			}
			if order[next.State] < order[k.State] || next.SignUntil.After(k.SignUntil) {
				t.Fatalf("from %+v back to %+v", k, next)
			}
			k = next
			ask := now.Add(time.Duration(rapid.IntRange(-100, 12000).Draw(t, "ask")) * time.Hour)
			may := k.State == keys.Active && !k.Published.IsZero() && !ask.Before(k.Published) &&
				!ask.Before(k.SignFrom) && ask.Before(k.SignUntil)
			if got := k.MaySign(ask); (got == nil) != may {
				t.Fatalf("MaySign(%v) of %+v: %v", ask, k, got)
			}
		}
	})
}

func TestPlanRotationSteps(t *testing.T) {
	const margin = 10 * 24 * time.Hour
	old := keystest.Key(t, keys.Credential, keys.ES256, "old")
	next := keystest.Key(t, keys.Credential, keys.ES256, "next")
	next.State, next.Created, next.SignFrom, next.Published = keys.Planned, now, now, time.Time{}
	published := next
	published.Published = now
	ready := now.Add(margin)
	over := published
	over.SignUntil = now
	later := published
	later.SignFrom = ready.AddDate(0, 1, 0)

	for _, tt := range []struct {
		name   string
		all    []keys.Key
		at     time.Time
		margin time.Duration
		want   keys.Step
	}{
		{"no key at all", nil, now, margin, keys.StepGenerate},
		{"one that signs", []keys.Key{old}, now, margin, keys.StepGenerate},
		{"the planned one is past its window", []keys.Key{old, over}, now, margin, keys.StepGenerate},
		{"a new one", []keys.Key{old, next}, now, margin, keys.StepPublish},
		{"a new one in an emergency", []keys.Key{old, next}, now, 0, keys.StepPublish},
		{"just published", []keys.Key{old, published}, now, margin, keys.StepWait},
		{"a second too early", []keys.Key{old, published}, ready.Add(-time.Second), margin, keys.StepWait},
		{"in time", []keys.Key{old, published}, ready, margin, keys.StepActivate},
		{"planned for a later day", []keys.Key{old, later}, ready, margin, keys.StepWait},
		{"published, in an emergency", []keys.Key{old, published}, now, 0, keys.StepActivate},
		{"the first key of a purpose", []keys.Key{published}, now, margin, keys.StepActivate},
	} {
		r, err := keys.PlanRotation(tt.all, keys.Credential, tt.at, tt.margin)
		if err != nil || r.Step != tt.want {
			t.Errorf("%s: %+v, %v, want %s", tt.name, r, err, tt.want)
		}
	}

	r, err := keys.PlanRotation([]keys.Key{old, published}, keys.Credential, ready, margin)
	if err != nil || len(r.Changes) != 2 {
		t.Fatalf("PlanRotation: %+v, %v", r, err)
	}
	first, second := r.Changes[0], r.Changes[1]
	if first.ID() != next.ID() || first.State != keys.Active || !first.SignFrom.Equal(ready) {
		t.Errorf("first change: %+v, want the new key active", first)
	}
	if second.ID() != old.ID() || second.State != keys.Retired || !second.SignUntil.Equal(ready.Add(time.Second)) {
		t.Errorf("second change: %+v, want the old key retired", second)
	}
	for name, f := range map[string]func() (keys.Rotation, error){
		"unknown purpose": func() (keys.Rotation, error) { return keys.PlanRotation(nil, "tls", now, 0) },
		"negative margin": func() (keys.Rotation, error) { return keys.PlanRotation(nil, keys.Audit, now, -1) },
		"no time":         func() (keys.Rotation, error) { return keys.PlanRotation(nil, keys.Audit, time.Time{}, 0) },
	} {
		if r, err := f(); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestCheckUpdateOfAnotherKey: a key does not become another one, whoever keeps it.
func TestCheckUpdateOfAnotherKey(t *testing.T) {
	k := keystest.Key(t, keys.Credential, keys.ES256, "a")
	next := k
	next.Public = keystest.Key(t, keys.Credential, keys.ES256, "b").Public
	if err := k.CheckUpdate(next); !errors.Is(err, keys.ErrTransition) {
		t.Errorf("CheckUpdate: %v, want ErrTransition", err)
	}
}
