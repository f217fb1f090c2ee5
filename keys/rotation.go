package keys

import (
	"fmt"
	"time"
)

// A Step is what to do next to replace a signing key.
type Step string

// The steps of a rotation in their order.
const (
	// StepGenerate: make a new key with [Keystore.Generate].
	StepGenerate Step = "generate"
	// StepPublish: export a trust bundle that carries the planned key, and note
	// it with [Key.Publish].
	StepPublish Step = "publish"
	// StepWait: verifiers may still work with a bundle from before the key; come
	// back at Rotation.Ready.
	StepWait Step = "wait"
	// StepActivate: store Rotation.Changes with [Keystore.Update], in order.
	StepActivate Step = "activate"
)

// A Rotation is the next step of replacing the key that signs for a purpose.
type Rotation struct {
	Step Step
	// Next is the key that is to sign, as it is now; zero at StepGenerate.
	Next Key
	// Ready is from when on Next may sign; set at StepWait and StepActivate.
	Ready time.Time
	// Changes are the keys to store at StepActivate: first the new key as active,
	// then the old ones as retired, so that there is always one that may sign.
	Changes []Key
}

// PlanRotation says what comes next in replacing the signing key for p. It
// changes nothing. A rotation takes two visits: the first makes a planned key,
// which the next trust bundle carries; the second, at least margin later,
// activates it and retires what signed before. Everything signed by then keeps
// verifying, since retired keys stay listed.
//
// Margin is the longest time for which a verifier may work with one bundle, plus
// some. The first key of a purpose need not wait. In an emergency, when the old
// key must not sign again, pass zero: the new key still has to be published, and
// verifiers that have not fetched that bundle will answer "cannot tell".
func PlanRotation(all []Key, p Purpose, now time.Time, margin time.Duration) (Rotation, error) {
	if p.years() == 0 {
		return Rotation{}, fmt.Errorf("keys: unknown purpose %q, want one of %v", cut(string(p)), Purposes())
	}
	if now.IsZero() || margin < 0 {
		return Rotation{}, fmt.Errorf("keys: internal error: rotation at %s with margin %s", day(now), margin)
	}
	var next Key
	var old []Key
	first := true
	for _, k := range all {
		if k.Purpose != p {
			continue
		}
		first = first && k.State == Planned
		switch {
		case k.State == Active:
			old = append(old, k)
		case k.State == Planned && now.Before(k.SignUntil) && next.Public.IsZero():
			next = k // the oldest one that is still of use
		}
	}
	if first {
		margin = 0
	}
	switch {
	case next.Public.IsZero():
		return Rotation{Step: StepGenerate}, nil
	case next.Published.IsZero():
		return Rotation{Step: StepPublish, Next: next}, nil
	}
	ready := next.Published.Add(margin)
	if ready.Before(next.SignFrom) {
		ready = next.SignFrom
	}
	if now.Before(ready) {
		return Rotation{Step: StepWait, Next: next, Ready: ready}, nil
	}
	active, err := next.Activate(now, margin)
	if err != nil {
		return Rotation{}, err
	}
	changes := []Key{active}
	for _, k := range old {
		retired, err := k.Retire(now)
		if err != nil {
			return Rotation{}, err
		}
		changes = append(changes, retired)
	}
	return Rotation{Step: StepActivate, Next: next, Ready: ready, Changes: changes}, nil
}
