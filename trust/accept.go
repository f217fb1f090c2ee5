package trust

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors of [Accept]. Each means that the file was refused and the verifier goes
// on with what it has.
var (
	// ErrFirstTrust: this verifier trusts nobody yet, and nobody confirmed the
	// fingerprint of the root.
	ErrFirstTrust = errors.New("trust: compare the fingerprint of the root first")
	// ErrOtherRoot: a bundle under another root than the one that is trusted.
	ErrOtherRoot = errors.New("trust: bundle of another root")
	// ErrRollback: older than what was accepted before.
	ErrRollback = errors.New("trust: older than the bundle in use")
	// ErrMixed: two contents under one version, or a bundle that follows another
	// than the one in use.
	ErrMixed = errors.New("trust: does not belong with the bundle in use")
	// ErrBackwards: a higher version with an earlier date, of the bundle or of a
	// status list in it.
	ErrBackwards = errors.New("trust: newer version with an earlier date")
	// ErrGap: a delta that starts from another bundle than the one in use. A whole
	// bundle is needed.
	ErrGap = errors.New("trust: delta does not start from the bundle in use")
)

// Errors of [State.Open].
var (
	// ErrNoBundle: there is no bundle.
	ErrNoBundle = errors.New("trust: no bundle")
	// ErrEdited: the stored bundle is not the one that was accepted.
	ErrEdited = errors.New("trust: stored bundle was changed")
)

// A State is what a verifier remembers. The zero State trusts nobody. All but
// Bundle is the high-water mark: it must outlive the bundle, or an old one would
// be accepted again.
type State struct {
	// Bundle is the file of the last bundle that was accepted; nil if it was lost.
	Bundle []byte
	// HighWater is its version and BundleHash its [Bundle.Hash].
	HighWater  uint64
	BundleHash [32]byte
	// AsOf is its date.
	AsOf time.Time
	// RootFingerprint is that of the first root, which a person confirmed.
	RootFingerprint string
	// RootVersion and RootHash are the newest root's; the hash is over its payload.
	RootVersion uint64
	RootHash    [32]byte
	// NewestSeen is the newest date in anything that was verified. A clock that
	// says less is wrong. Accept moves it; whoever verifies credentials may.
	NewestSeen time.Time
	// Damaged says that a Memory found the stored bundle changed or missing and
	// dropped it. The mark still holds.
	Damaged bool
}

// Trusted reports whether a root was ever confirmed.
func (st State) Trusted() bool { return st.RootFingerprint != "" }

// Open opens the stored bundle and compares it with the mark. It returns
// [ErrNoBundle] if there is none and [ErrEdited] if it is another than was
// accepted, even one that was good in its time.
func (st State) Open() (*Bundle, error) {
	if st.Bundle == nil {
		return nil, ErrNoBundle
	}
	b, err := Open(st.Bundle)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrEdited, err)
	}
	if b.hash != st.BundleHash || b.Version != st.HighWater || b.fingerprint != st.RootFingerprint {
		return nil, ErrEdited
	}
	return b, nil
}

// A Memory keeps a State between runs. [DirMemory] does so in files.
type Memory interface {
	// Load returns the last State that was saved, the zero State if none ever was.
	// A bundle that is not the one that was saved is dropped, with State.Damaged
	// set. A mark that cannot be read is an error: what it said must not be
	// forgotten.
	Load() (State, error)

	// Save stores st, durably once it returns nil, and as a whole or not at all. It
	// returns ErrRollback if a State with a higher mark was stored meanwhile.
	Save(st State) error
}

// A Confirm decides whether the first bundle a verifier sees is the right one, by
// a person who compares [Bundle.Fingerprint] with what was published elsewhere.
type Confirm func(b *Bundle) bool

// Pinned returns a Confirm for a fingerprint that is known already, from the
// scanner's own release or from a command line. Spaces and dashes do not count.
func Pinned(fingerprint string) Confirm {
	digits := strings.NewReplacer(" ", "", "-", "")
	want := digits.Replace(fingerprint)
	return func(b *Bundle) bool { return want != "" && digits.Replace(b.Fingerprint()) == want }
}

// Accept judges a file that reached a verifier, a bundle or a delta, and returns
// the new state and the bundle to use from now on. On an error the state is the
// old one, which stays in use.
//
// A bundle is accepted if its signatures hold ([Open]) and
//   - its first root is the one that was confirmed; the first time, first is asked,
//     and a nil first confirms nothing;
//   - its roots go on from the newest one that was seen;
//   - its version is higher than the last one's, with the hash of that in Previous
//     if it is the very next; the same bundle again changes nothing;
//   - neither it nor a status list in it is dated earlier than before.
func Accept(st State, file []byte, first Confirm) (State, *Bundle, error) {
	next, b, err := accept(st, file, first)
	if err != nil {
		return st, nil, fmt.Errorf("accept trust bundle: %w", err)
	}
	return next, b, nil
}

func accept(st State, file []byte, first Confirm) (State, *Bundle, error) {
	raw, err := inflate(file)
	if err != nil {
		return State{}, nil, err
	}
	if isDelta(raw) {
		if file, raw, err = st.applyDelta(raw); err != nil {
			return State{}, nil, err
		}
	}
	e, err := openEnvelope(raw, st.checkRoots)
	if err != nil {
		return State{}, nil, err
	}
	b, err := e.bundle()
	if err != nil {
		return State{}, nil, err
	}
	if !st.Trusted() {
		if first == nil || !first(b) {
			return State{}, nil, fmt.Errorf("%w: %s", ErrFirstTrust, b.fingerprint)
		}
	} else if err := st.checkSuccession(b); err != nil {
		return State{}, nil, err
	}
	next := st
	next.Bundle, next.Damaged = bytes.Clone(file), false
	next.HighWater, next.BundleHash, next.AsOf = b.Version, b.hash, b.AsOf
	next.RootFingerprint, next.RootVersion = b.fingerprint, b.Root.Version
	next.RootHash = b.rootHashes[b.Root.Version-1]
	if next.NewestSeen.Before(b.AsOf) {
		next.NewestSeen = b.AsOf
	}
	return next, b, nil
}

// checkRoots compares the roots of a file with those that were seen before.
func (st State) checkRoots(roots []signedRoot) error {
	if !st.Trusted() {
		return nil
	}
	if got := roots[0].fingerprint(); got != st.RootFingerprint {
		return fmt.Errorf("%w: %s, trusted is %s", ErrOtherRoot, got, st.RootFingerprint)
	}
	if uint64(len(roots)) < st.RootVersion {
		return fmt.Errorf("%w: root %d, root %d was seen", ErrRollback, len(roots), st.RootVersion)
	}
	// Root keys that were replaced may be lost or stolen since. They must not be
	// able to make another chain beside the one that we followed.
	if roots[st.RootVersion-1].hash != st.RootHash {
		return fmt.Errorf("%w: another root %d than was seen", ErrRootChain, st.RootVersion)
	}
	return nil
}

// checkSuccession compares a bundle with the one in use.
func (st State) checkSuccession(b *Bundle) error {
	switch {
	case b.Version < st.HighWater:
		return fmt.Errorf("%w: version %d, version %d is in use", ErrRollback, b.Version, st.HighWater)
	case b.Version == st.HighWater && b.hash == st.BundleHash:
		return nil // the same again, perhaps to replace a lost file
	case b.Version == st.HighWater:
		return fmt.Errorf("%w: another version %d", ErrMixed, b.Version)
	case b.Version == st.HighWater+1 && b.Previous != st.BundleHash:
		return fmt.Errorf("%w: version %d follows another version %d", ErrMixed, b.Version, st.HighWater)
	case b.AsOf.Before(st.AsOf):
		return fmt.Errorf("%w: version %d of %s, version %d is of %s", ErrBackwards, b.Version, day(b.AsOf), st.HighWater, day(st.AsOf))
	}
	inUse, err := st.Open()
	if err != nil {
		return nil // lost or changed; the mark is what counts
	}
	for _, s := range b.Status {
		if old, ok := inUse.lists[s.URI]; ok && s.IssuedAt.Before(old.snapshot.IssuedAt) {
			return fmt.Errorf("%w: status list %.80q", ErrBackwards, s.URI)
		}
	}
	return nil
}

// payload returns the payload of the stored bundle if that is the one in use and
// has this hash.
func (st State) payload(hash [32]byte) ([]byte, error) {
	if st.Bundle == nil || st.BundleHash != hash {
		return nil, ErrGap
	}
	raw, err := inflate(st.Bundle)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrEdited, err)
	}
	payload, err := payloadOf(raw)
	if err != nil || sha256.Sum256(payload) != hash {
		return nil, ErrEdited
	}
	return payload, nil
}
