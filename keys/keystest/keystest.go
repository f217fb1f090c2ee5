// Package keystest holds the contract of [keys.Keystore] as a test that every
// keystore passes ([TestKeystore]), and what tests of other packages need: keys
// that are the same in every run ([Signer], [Key], [Private]), a keystore in
// memory ([Memory]) and one in a cheap file ([File]).
//
// Only test files import it.
package keystest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/keys"
)

// start is the present of the contract test.
var start = time.Date(2026, 11, 1, 9, 30, 0, 0, time.UTC)

// TestKeystore checks the contract of [keys.Keystore]. Each call of create makes
// a new, empty keystore and returns a function that opens it: called again it
// opens the same one again, as another process would.
func TestKeystore(t *testing.T, create func(t *testing.T) (open func() keys.Keystore)) {
	for name, test := range map[string]func(*testing.T, func() keys.Keystore){
		"an empty store has no keys":                     testEmpty,
		"a new key is planned and signs":                 testGenerate,
		"a spec that says too little is refused":         testSpecs,
		"keys come in the order they were made":          testOrder,
		"nothing is lost when opened again":              testReopen,
		"a life from planned to compromised":             testLife,
		"a signer follows its key":                       testSignerFollows,
		"KEY-05 outside its window or not yet published": testWindow,
		"KEY-08 for another purpose":                     testPurposes,
		"illegal changes are refused":                    testRefusesUpdates,
		"of many who publish a key one wins":             testConcurrentUpdates,
		"keys made at once are all kept":                 testConcurrentGenerate,
		"rotation leaves no gap":                         func(t *testing.T, open func() keys.Keystore) { Rotate(t, open(), 3) },
	} {
		t.Run(name, func(t *testing.T) { test(t, create(t)) })
	}
}

func generate(t *testing.T, ks keys.Keystore, spec keys.Spec) keys.Key {
	t.Helper()
	if spec.Created.IsZero() {
		spec.Created = start
	}
	k, err := ks.Generate(t.Context(), spec)
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	return k
}

// list returns the keys of ks.
func list(t *testing.T, ks keys.Keystore) []keys.Key {
	t.Helper()
	all, err := ks.Keys(t.Context())
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	return all
}

// stored returns what ks says of a key now.
func stored(t *testing.T, ks keys.Keystore, id keys.ID) keys.Key {
	t.Helper()
	all := list(t, ks)
	i := slices.IndexFunc(all, func(k keys.Key) bool { return k.ID() == id })
	if i < 0 {
		t.Fatalf("Keys lacks %s", id)
	}
	return all[i]
}

func update(t *testing.T, ks keys.Keystore, k keys.Key) {
	t.Helper()
	if err := ks.Update(t.Context(), k); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// step returns the result of one step in the life of a key.
func step(t *testing.T) func(k keys.Key, err error) keys.Key {
	return func(k keys.Key, err error) keys.Key {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
}

// same reports whether two keys agree in everything.
func same(a, b keys.Key) bool {
	return a.Public.Equal(b.Public) && a.Purpose == b.Purpose && a.State == b.State &&
		a.Created.Equal(b.Created) && a.Published.Equal(b.Published) &&
		a.SignFrom.Equal(b.SignFrom) && a.SignUntil.Equal(b.SignUntil) &&
		a.VerifyUntil.Equal(b.VerifyUntil) && a.CompromisedSince.Equal(b.CompromisedSince)
}

// checkSignature signs a message and checks it with the standard library.
func checkSignature(t *testing.T, s keys.Signer) {
	t.Helper()
	k := s.Key().Public
	message := []byte("a message")
	digest := message
	if h := k.Algorithm().Hash(); h != 0 {
		d := h.New()
		d.Write(message)
		digest = d.Sum(nil)
	}
	sig, err := s.Sign(rand.Reader, digest, k.Algorithm().Hash())
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	good := false
	switch public := k.Crypto().(type) {
	case *ecdsa.PublicKey:
		good = public.Equal(s.Public()) && ecdsa.VerifyASN1(public, digest, sig)
	case ed25519.PublicKey:
		good = public.Equal(s.Public()) && ed25519.Verify(public, message, sig)
	}
	if !good {
		t.Errorf("the signature of %v is not one of its key", s)
	}
}

func testEmpty(t *testing.T, open func() keys.Keystore) {
	ks := open()
	if all := list(t, ks); len(all) != 0 {
		t.Errorf("Keys: %v, want none", all)
	}
	if _, err := ks.Signer(t.Context(), keys.ID{1}); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("Signer: %v, want ErrNoKey", err)
	}
	if err := ks.Update(t.Context(), Key(t, keys.Credential, keys.ES256, "stranger")); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("Update: %v, want ErrNoKey", err)
	}
}

func testGenerate(t *testing.T, open func() keys.Keystore) {
	ks := open()
	for _, alg := range keys.Algorithms() {
		k := generate(t, ks, keys.Spec{Purpose: keys.Credential, Algorithm: alg})
		if k.State != keys.Planned || !k.Published.IsZero() || k.Public.Algorithm() != alg {
			t.Errorf("Generate: %v for %s published %v, want a planned key for %s", k, k.Public.Algorithm(), k.Published, alg)
		}
		if got := stored(t, ks, k.ID()); !same(got, k) {
			t.Errorf("Keys: %+v, want %+v", got, k)
		}
		s, err := ks.Signer(t.Context(), k.ID())
		if err != nil {
			t.Fatalf("Signer: %v", err)
		}
		if !same(s.Key(), k) {
			t.Errorf("Signer.Key: %+v, want %+v", s.Key(), k)
		}
		checkSignature(t, s)
	}
}

func testSpecs(t *testing.T, open func() keys.Keystore) {
	ks := open()
	for name, spoil := range map[string]func(*keys.Spec){
		"no purpose":                  func(s *keys.Spec) { s.Purpose = "" },
		"unknown purpose":             func(s *keys.Spec) { s.Purpose = "tls" },
		"no time":                     func(s *keys.Spec) { s.Created = time.Time{} },
		"unknown algorithm":           func(s *keys.Spec) { s.Algorithm = "RS256" },
		"audit key for ECDSA":         func(s *keys.Spec) { s.Purpose, s.Algorithm = keys.Audit, keys.ES256 },
		"signs before it was made":    func(s *keys.Spec) { s.SignFrom = start.Add(-time.Hour) },
		"ends before it begins":       func(s *keys.Spec) { s.SignUntil = start },
		"unlisted while it may sign":  func(s *keys.Spec) { s.VerifyUntil = start.AddDate(0, 1, 0) },
		"algorithm in another script": func(s *keys.Spec) { s.Algorithm = "es256" },
	} {
		spec := keys.Spec{Purpose: keys.Credential, Created: start}
		spoil(&spec)
		if k, err := ks.Generate(t.Context(), spec); err == nil {
			t.Errorf("%s: Generate made %v", name, k)
		}
	}
	if all := list(t, ks); len(all) != 0 {
		t.Errorf("Keys: %v, want none", all)
	}
}

func testOrder(t *testing.T, open func() keys.Keystore) {
	ks := open()
	var want []keys.ID
	for _, p := range keys.Purposes() {
		want = append(want, generate(t, ks, keys.Spec{Purpose: p}).ID())
	}
	var got []keys.ID
	for _, k := range list(t, ks) {
		got = append(got, k.ID())
	}
	if !slices.Equal(got, want) {
		t.Errorf("Keys: %v, want %v", got, want)
	}
}

func testReopen(t *testing.T, open func() keys.Keystore) {
	ks := open()
	k := generate(t, ks, keys.Spec{
		Purpose: keys.StatusList, SignFrom: start.AddDate(0, 1, 0), SignUntil: start.AddDate(0, 2, 0), VerifyUntil: start.AddDate(3, 0, 0),
	})
	k = step(t)(k.Publish(start))
	update(t, ks, k)

	again := open()
	if got := stored(t, again, k.ID()); !same(got, k) {
		t.Errorf("opened again: %+v, want %+v", got, k)
	}
	s, err := again.Signer(t.Context(), k.ID())
	if err != nil {
		t.Fatalf("Signer: %v", err)
	}
	checkSignature(t, s)
	// Both are open now, and each sees what the other does.
	other := generate(t, again, keys.Spec{Purpose: keys.Credential})
	if got := stored(t, ks, other.ID()); !same(got, other) {
		t.Errorf("seen by the first: %+v, want %+v", got, other)
	}
}

func testLife(t *testing.T, open func() keys.Keystore) {
	ks := open()
	k := generate(t, ks, keys.Spec{Purpose: keys.Credential})
	var lived []keys.State
	for _, next := range []func() (keys.Key, error){
		func() (keys.Key, error) { return k.Publish(start.Add(time.Hour)) },
		func() (keys.Key, error) { return k.Activate(start.Add(24*time.Hour), 12*time.Hour) },
		func() (keys.Key, error) { return k.Retire(start.Add(48 * time.Hour)) },
		func() (keys.Key, error) { return k.Compromise(start.Add(36 * time.Hour)) },
		func() (keys.Key, error) { return k.Compromise(start.Add(30 * time.Hour)) },
	} {
		k = step(t)(next())
		update(t, ks, k)
		got := stored(t, ks, k.ID())
		if !same(got, k) {
			t.Errorf("Keys: %+v, want %+v", got, k)
		}
		lived = append(lived, got.State)
	}
	want := []keys.State{keys.Planned, keys.Active, keys.Retired, keys.Compromised, keys.Compromised}
	if !slices.Equal(lived, want) {
		t.Errorf("states: %v, want %v", lived, want)
	}
}

// active returns a new active key.
func active(t *testing.T, ks keys.Keystore, p keys.Purpose) keys.Key {
	t.Helper()
	k := step(t)(generate(t, ks, keys.Spec{Purpose: p}).Publish(start))
	k = step(t)(k.Activate(start, 0))
	update(t, ks, k)
	return k
}

func testSignerFollows(t *testing.T, open func() keys.Keystore) {
	ks := open()
	k := active(t, ks, keys.Credential)
	s, err := ks.Signer(t.Context(), k.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.CheckSigner(s, keys.Credential, start); err != nil {
		t.Errorf("CheckSigner: %v", err)
	}
	update(t, ks, step(t)(k.Retire(start.Add(time.Hour))))
	if err := keys.CheckSigner(s, keys.Credential, start.Add(time.Minute)); !errors.Is(err, keys.ErrNotActive) {
		t.Errorf("CheckSigner of a retired key: %v, want ErrNotActive", err)
	}
}

func testWindow(t *testing.T, open func() keys.Keystore) {
	ks := open()
	until := start.AddDate(0, 6, 0)
	k := generate(t, ks, keys.Spec{Purpose: keys.Credential, SignUntil: until})
	s, err := ks.Signer(t.Context(), k.ID())
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, at time.Time, want error) {
		t.Helper()
		if err := keys.CheckSigner(s, keys.Credential, at); !errors.Is(err, want) {
			t.Errorf("%s: CheckSigner: %v, want %v", name, err, want)
		}
	}
	margin := 7 * 24 * time.Hour
	check("planned", start, keys.ErrNotActive)
	if _, err := k.Activate(start, margin); !errors.Is(err, keys.ErrNotPublished) {
		t.Errorf("Activate of an unpublished key: %v, want ErrNotPublished", err)
	}
	k = step(t)(k.Publish(start))
	update(t, ks, k)
	check("published, not active", start, keys.ErrNotActive)
	ready := start.Add(margin)
	if _, err := k.Activate(ready.Add(-time.Second), margin); !errors.Is(err, keys.ErrNotPublished) {
		t.Errorf("Activate a second too early: %v, want ErrNotPublished", err)
	}
	update(t, ks, step(t)(k.Activate(ready, margin)))
	check("a second too early", ready.Add(-time.Second), keys.ErrSignWindow)
	check("the first second", ready, nil)
	check("the last second", until.Add(-time.Second), nil)
	check("the second after", until, keys.ErrSignWindow)
}

func testPurposes(t *testing.T, open func() keys.Keystore) {
	ks := open()
	for _, own := range keys.Purposes() {
		s, err := ks.Signer(t.Context(), active(t, ks, own).ID())
		if err != nil {
			t.Fatal(err)
		}
		for _, asked := range keys.Purposes() {
			err := keys.CheckSigner(s, asked, start)
			if own == asked && err != nil {
				t.Errorf("a %s key asked to sign as such: %v", own, err)
			}
			if own != asked && !errors.Is(err, keys.ErrPurpose) {
				t.Errorf("a %s key asked to sign as %s: %v, want ErrPurpose", own, asked, err)
			}
		}
	}
}

func testRefusesUpdates(t *testing.T, open func() keys.Keystore) {
	ks := open()
	planned := generate(t, ks, keys.Spec{Purpose: keys.Credential, VerifyUntil: start.AddDate(9, 0, 0)})
	k := active(t, ks, keys.Credential)
	retired := step(t)(active(t, ks, keys.Credential).Retire(start.AddDate(0, 0, 1)))
	update(t, ks, retired)
	compromised := step(t)(active(t, ks, keys.Credential).Compromise(start.AddDate(0, 0, 2)))
	update(t, ks, compromised)
	unpublished := step(t)(generate(t, ks, keys.Spec{Purpose: keys.Credential}).Compromise(start.AddDate(0, 0, 2)))
	update(t, ks, unpublished)

	for _, tt := range []struct {
		name  string
		of    keys.Key
		spoil func(*keys.Key)
		want  error
	}{
		{"another purpose", k, func(k *keys.Key) { k.Purpose = keys.StatusList }, keys.ErrTransition},
		{"another day of birth", k, func(k *keys.Key) { k.Created = start.AddDate(-1, 0, 0) }, keys.ErrTransition},
		{"key material of another", k, func(k *keys.Key) { k.Public = Key(t, keys.Credential, keys.ES256, "stranger").Public }, keys.ErrNoKey},
		{"an unknown state", k, func(k *keys.Key) { k.State = "asleep" }, keys.ErrTransition},
		{"active without having been published", planned, func(k *keys.Key) { k.State = keys.Active }, keys.ErrNotPublished},
		{"active before it was published", planned, func(k *keys.Key) {
			k.State, k.Published = keys.Active, start.AddDate(0, 0, 1)
		}, keys.ErrTransition},
		{"from planned to retired", planned, func(k *keys.Key) { k.State = keys.Retired }, keys.ErrTransition},
		{"from active back to planned", k, func(k *keys.Key) { k.State = keys.Planned }, keys.ErrTransition},
		{"from retired back to active", retired, func(k *keys.Key) { k.State = keys.Active }, keys.ErrTransition},
		{"from compromised to retired", compromised, func(k *keys.Key) { k.State, k.CompromisedSince = keys.Retired, time.Time{} }, keys.ErrTransition},
		{"from compromised to active", compromised, func(k *keys.Key) { k.State, k.CompromisedSince = keys.Active, time.Time{} }, keys.ErrTransition},
		{"compromised without a date", k, func(k *keys.Key) { k.State = keys.Compromised }, keys.ErrTransition},
		{"a date of compromise alone", k, func(k *keys.Key) { k.CompromisedSince = start }, keys.ErrTransition},
		{"compromised later than first said", compromised, func(k *keys.Key) { k.CompromisedSince = start.AddDate(0, 0, 3) }, keys.ErrTransition},
		{"published at another time", k, func(k *keys.Key) { k.Published = start.AddDate(0, 0, -1) }, keys.ErrTransition},
		{"never published after all", k, func(k *keys.Key) { k.Published = time.Time{} }, keys.ErrTransition},
		{"signs from an earlier day", k, func(k *keys.Key) { k.SignFrom = start.AddDate(0, 0, -1) }, keys.ErrTransition},
		{"signs from a later day", k, func(k *keys.Key) { k.SignFrom = k.SignFrom.AddDate(0, 0, 1) }, keys.ErrTransition},
		{"published once it was given away", unpublished, func(k *keys.Key) { k.Published = start.AddDate(0, 0, 3) }, keys.ErrTransition},
		{"signs for longer", k, func(k *keys.Key) { k.SignUntil = k.SignUntil.AddDate(1, 0, 0) }, keys.ErrTransition},
		{"signs without an end", planned, func(k *keys.Key) { k.SignUntil = time.Time{} }, keys.ErrTransition},
		{"retired and signs for longer", retired, func(k *keys.Key) { k.SignUntil = start.AddDate(1, 0, 0) }, keys.ErrTransition},
		{"KEY-06 unlisted although credentials need it", k, func(k *keys.Key) { k.VerifyUntil = k.SignUntil }, keys.ErrTransition},
		{"KEY-06 unlisted earlier than planned", planned, func(k *keys.Key) { k.VerifyUntil = k.VerifyUntil.AddDate(-1, 0, 0) }, keys.ErrTransition},
	} {
		next := tt.of
		tt.spoil(&next)
		if err := ks.Update(t.Context(), next); !errors.Is(err, tt.want) {
			t.Errorf("%s: Update: %v, want %v", tt.name, err, tt.want)
		}
		if got := stored(t, ks, tt.of.ID()); !same(got, tt.of) {
			t.Errorf("%s: it is %+v now, want %+v", tt.name, got, tt.of)
		}
	}
}

func testConcurrentUpdates(t *testing.T, open func() keys.Keystore) {
	ks := []keys.Keystore{open(), open()}
	k := generate(t, ks[0], keys.Spec{Purpose: keys.Credential})
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() {
			mine := k
			mine.Published = start.Add(time.Duration(i+1) * time.Minute)
			errs[i] = ks[i%2].Update(t.Context(), mine)
		})
	}
	wg.Wait()
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
			if got := stored(t, ks[0], k.ID()); !got.Published.Equal(start.Add(time.Duration(i+1) * time.Minute)) {
				t.Errorf("published at %v, but the update for minute %d won", got.Published, i+1)
			}
		case !errors.Is(err, keys.ErrTransition):
			t.Errorf("Update: %v, want ErrTransition", err)
		}
	}
	if won != 1 {
		t.Errorf("%d updates won, want 1", won)
	}
}

func testConcurrentGenerate(t *testing.T, open func() keys.Keystore) {
	ks := []keys.Keystore{open(), open(), open()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := map[keys.ID]bool{}
	for i := range 12 {
		wg.Go(func() {
			k, err := ks[i%len(ks)].Generate(t.Context(), keys.Spec{Purpose: keys.Credential, Created: start})
			if err != nil {
				t.Errorf("Generate: %v", err)
				return
			}
			if _, err := ks[(i+1)%len(ks)].Signer(t.Context(), k.ID()); err != nil {
				t.Errorf("Signer, opened elsewhere: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			made[k.ID()] = true
		})
	}
	wg.Wait()
	got := map[keys.ID]bool{}
	for _, k := range list(t, open()) {
		got[k.ID()] = true
	}
	if len(made) != 12 || !maps.Equal(got, made) {
		t.Errorf("%d keys kept of %d made, want 12", len(got), len(made))
	}
}

// Rotate runs n rotations in simulated time on an empty keystore, the last of
// them an emergency, and checks after each day that there is a key to sign with,
// that every verifier with a bundle of an allowed age knows it, and that the
// newest bundle lists every key that ever signed. It is part of [TestKeystore]
// and can be run for longer.
func Rotate(t *testing.T, ks keys.Keystore, n int) {
	const (
		day    = 24 * time.Hour
		oldest = 7                      // days that a verifier may work with one bundle
		margin = (oldest + 1) * day     // and a bundle is made once a day
		every  = 3 * (oldest + 1) * day // between two rotations
	)
	if _, err := keys.Bootstrap(t.Context(), ks, keys.Spec{Purpose: keys.Credential, Created: start}); err != nil {
		t.Fatalf("Bootstrap: %v", err)
	}
	signed := map[keys.ID]bool{}
	var bundles [][]keys.Key // one a day, the newest last
	last, now := start, start
	for done := 0; done < n; now = now.Add(day) {
		if now.Sub(last) > time.Duration(10*n)*every {
			t.Fatalf("no rotation came to an end for %v", now.Sub(last))
		}
		// The trust bundle of the day carries whatever there is.
		for _, k := range list(t, ks) {
			if k.State == keys.Planned && k.Published.IsZero() {
				update(t, ks, step(t)(k.Publish(now)))
			}
		}
		bundles = append(bundles, list(t, ks))
		if now.Sub(last) >= every {
			if rotateOnce(t, ks, now, margin) {
				last = now
				done++
			}
		}
		k := signOnce(t, ks, now)
		signed[k.ID()] = true
		for age := range min(oldest+1, len(bundles)) {
			if !lists(bundles[len(bundles)-1-age], k.ID()) {
				t.Fatalf("a bundle %d days old does not list the key that signs on day %v", age, now)
			}
		}
		for id := range signed {
			if !lists(bundles[len(bundles)-1], id) {
				t.Fatalf("the newest bundle does not list %s, which has signed", id)
			}
		}
	}
	if len(signed) < n {
		t.Errorf("%d keys signed in %d rotations", len(signed), n)
	}
	emergency(t, ks, now)
}

// rotateOnce takes the next step and reports whether the new key is active.
func rotateOnce(t *testing.T, ks keys.Keystore, now time.Time, margin time.Duration) bool {
	t.Helper()
	r, err := keys.PlanRotation(list(t, ks), keys.Credential, now, margin)
	if err != nil {
		t.Fatalf("PlanRotation: %v", err)
	}
	switch r.Step {
	case keys.StepGenerate:
		generate(t, ks, keys.Spec{Purpose: keys.Credential, Created: now})
	case keys.StepWait:
		if !r.Ready.After(now) || r.Ready.Sub(now) > margin {
			t.Fatalf("at %v: wait until %v", now, r.Ready)
		}
	case keys.StepActivate:
		for _, k := range r.Changes {
			update(t, ks, k)
			// Also between two of the changes there is a key to sign with.
			signOnce(t, ks, now)
		}
		return true
	default:
		t.Fatalf("PlanRotation: %+v", r)
	}
	return false
}

// signOnce signs with the key that is to sign now.
func signOnce(t *testing.T, ks keys.Keystore, now time.Time) keys.Key {
	t.Helper()
	k, err := keys.SigningKey(list(t, ks), keys.Credential, now)
	if err != nil {
		t.Fatalf("SigningKey at %v: %v", now, err)
	}
	s, err := ks.Signer(t.Context(), k.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.CheckSigner(s, keys.Credential, now); err != nil {
		t.Fatalf("CheckSigner at %v: %v", now, err)
	}
	return k
}

func lists(bundle []keys.Key, id keys.ID) bool {
	return slices.ContainsFunc(bundle, func(k keys.Key) bool { return k.ID() == id })
}

// emergency compromises the signing key and brings up another at once.
func emergency(t *testing.T, ks keys.Keystore, now time.Time) {
	t.Helper()
	bad := signOnce(t, ks, now)
	update(t, ks, step(t)(bad.Compromise(now.Add(-time.Hour))))
	if k, err := keys.SigningKey(list(t, ks), keys.Credential, now); !errors.Is(err, keys.ErrNoKey) {
		t.Fatalf("SigningKey after the compromise: %v, %v, want ErrNoKey", k, err)
	}
	k := generate(t, ks, keys.Spec{Purpose: keys.Credential, Created: now})
	if r, err := keys.PlanRotation(list(t, ks), keys.Credential, now, 0); err != nil || r.Step != keys.StepPublish {
		t.Fatalf("PlanRotation: %+v, %v, want publish: not even an emergency signs with an unknown key", r, err)
	}
	update(t, ks, step(t)(k.Publish(now)))
	if r, err := keys.PlanRotation(list(t, ks), keys.Credential, now, math.MaxInt64); err != nil || r.Step != keys.StepWait {
		t.Fatalf("PlanRotation: %+v, %v, want wait", r, err)
	}
	if !rotateOnce(t, ks, now, 0) {
		t.Fatal("PlanRotation: not active at once in an emergency")
	}
	if got := signOnce(t, ks, now); got.ID() != k.ID() {
		t.Errorf("%v signs after the emergency, want %v", got, k)
	}
	if got := stored(t, ks, bad.ID()); got.State != keys.Compromised {
		t.Errorf("the bad key is %v since %v, want compromised", got, got.CompromisedSince)
	}
}
