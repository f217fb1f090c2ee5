package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrMemory: the high-water mark cannot be read. It is not replaced by itself,
// because what it said would be forgotten: whoever removes it starts again with
// first trust.
var ErrMemory = errors.New("trust: the verifier's memory is damaged")

var errNothing = errors.New("trust: there is nothing to remember yet")

// A mark is a State without its bundle. It is written as a line with the SHA-256 of the rest, in
// hexadecimal, and JSON.
type mark struct {
	HighWater       uint64    `json:"high_water"`
	BundleHash      string    `json:"bundle_hash"`
	AsOf            time.Time `json:"as_of"`
	RootFingerprint string    `json:"root_fingerprint"`
	RootVersion     uint64    `json:"root_version"`
	RootHash        string    `json:"root_hash"`
	NewestSeen      time.Time `json:"newest_seen"`
	File            string    `json:"file_sha256,omitempty"`
}

// Mark is st without its bundle, as a text that [Remember] reads. Whoever keeps a State
// elsewhere than in a [DirMemory] stores it apart from the bundle and never goes back
// to an earlier one.
func (st State) Mark() ([]byte, error) {
	if !st.memorable() {
		return nil, errNothing
	}
	mk := markOf(st)
	if st.Bundle != nil {
		sum := sha256.Sum256(st.Bundle)
		mk.File = hex.EncodeToString(sum[:])
	}
	return mk.encode()
}

// Remember puts a State together again from its mark and its bundle. A bundle that is
// not the one of the mark is dropped, with State.Damaged set; a mark that cannot be read
// is [ErrMemory].
func Remember(text, bundle []byte) (State, error) {
	mk, err := decodeMark(text)
	if err != nil {
		return State{}, err
	}
	return mk.with(bundle)
}

// memorable reports whether there is anything that a mark could say.
func (st State) memorable() bool { return st.Trusted() && st.HighWater > 0 && st.RootVersion > 0 }

func markOf(st State) mark {
	return mark{
		HighWater: st.HighWater, BundleHash: hex.EncodeToString(st.BundleHash[:]), AsOf: st.AsOf.UTC(),
		RootFingerprint: st.RootFingerprint, RootVersion: st.RootVersion, RootHash: hex.EncodeToString(st.RootHash[:]),
		NewestSeen: st.NewestSeen.UTC(),
	}
}

func (mk mark) encode() ([]byte, error) {
	b, err := json.MarshalIndent(mk, "", "  ")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return append([]byte(hex.EncodeToString(sum[:])+"\n"), b...), nil
}

func decodeMark(b []byte) (mark, error) {
	sum, rest, _ := bytes.Cut(b, []byte("\n"))
	if want := sha256.Sum256(rest); string(sum) != hex.EncodeToString(want[:]) {
		return mark{}, fmt.Errorf("%w: the mark does not have its checksum", ErrMemory)
	}
	var mk mark
	if err := json.Unmarshal(rest, &mk); err != nil {
		return mark{}, fmt.Errorf("%w: the mark is not JSON", ErrMemory)
	}
	if _, err := mk.state(); err != nil {
		return mark{}, err
	}
	return mk, nil
}

// with is the State of a mark and a bundle, if that is the one it names.
func (mk mark) with(bundle []byte) (State, error) {
	st, err := mk.state()
	if err != nil {
		return State{}, err
	}
	if sum := sha256.Sum256(bundle); hex.EncodeToString(sum[:]) != mk.File {
		st.Damaged = true
		return st, nil
	}
	st.Bundle = bundle
	return st, nil
}

func (mk mark) state() (State, error) {
	st := State{
		HighWater: mk.HighWater, AsOf: mk.AsOf.UTC(), RootFingerprint: mk.RootFingerprint,
		RootVersion: mk.RootVersion, NewestSeen: mk.NewestSeen.UTC(),
	}
	for _, h := range []struct {
		text string
		into *[32]byte
	}{{mk.BundleHash, &st.BundleHash}, {mk.RootHash, &st.RootHash}} {
		b, err := hex.DecodeString(h.text)
		if err != nil || len(b) != len(h.into) {
			return State{}, fmt.Errorf("%w: the mark holds no hash", ErrMemory)
		}
		copy(h.into[:], b)
	}
	if !st.memorable() {
		return State{}, fmt.Errorf("%w: the mark trusts nobody", ErrMemory)
	}
	return st, nil
}

// follows checks that the mark does not go back behind old, and keeps the newest
// date of both.
func (mk *mark) follows(old mark) error {
	switch {
	case mk.RootFingerprint != old.RootFingerprint:
		return ErrOtherRoot
	case mk.HighWater < old.HighWater || mk.RootVersion < old.RootVersion:
		return fmt.Errorf("%w: version %d is stored by now", ErrRollback, old.HighWater)
	case mk.HighWater == old.HighWater && mk.BundleHash != old.BundleHash,
		mk.RootVersion == old.RootVersion && mk.RootHash != old.RootHash:
		return ErrMixed
	}
	if mk.NewestSeen.Before(old.NewestSeen) {
		mk.NewestSeen = old.NewestSeen
	}
	return nil
}
