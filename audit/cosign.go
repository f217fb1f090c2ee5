package audit

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sanad-id/sanad/keys"
)

// typeCosignature is the type of a key that makes timestamped cosignatures
// (C2SP signed-note, signature types).
const typeCosignature = 0x04

// A Cosignature is the statement of a witness about a checkpoint: at this time it
// was the largest that the witness had seen of the log, and continued all that it had
// seen before (C2SP tlog-cosignature, type cosignature/v1).
type Cosignature struct {
	// Witness is the key that signed, as NAME+HASH.
	Witness string
	// Time is when it signed, in whole seconds.
	Time time.Time
	// Line is the signature line, with its line break.
	Line []byte
}

// WitnessKey returns the public key of a witness in the text form of signed notes
// (NAME+HASH+KEY), without a line break. Name must not contain blanks or "+"; the
// key must be an Ed25519 key.
func WitnessKey(name string, pub keys.PublicKey) (string, error) {
	key, ok := pub.Crypto().(ed25519.PublicKey)
	if !ok {
		return "", fmt.Errorf("audit: witnesses sign with %s only, not with %s", keys.EdDSA, pub.Algorithm())
	}
	v := &cosigner{name: name, key: key}
	if _, err := parseWitness(v.text()); err != nil {
		return "", fmt.Errorf("audit: %q is no name for a witness: %w", clip(name), err)
	}
	return v.text(), nil
}

// CheckWitnessKey reads the public key of a witness and returns how cosignatures
// name it: NAME+HASH.
func CheckWitnessKey(vkey string) (string, error) {
	v, err := parseWitness(vkey)
	if err != nil {
		return "", fmt.Errorf("audit: witness key: %w", err)
	}
	return v.id(), nil
}

// OpenCosigned is [OpenCheckpoint], and also checks the signatures of witnesses,
// whose keys are given a line each (empty for none).
func OpenCosigned(signed []byte, vkeys, witnesses string) (Checkpoint, error) {
	known, err := parseKeys(vkeys)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit: %w", err)
	}
	cosigners, err := parseWitnesses(witnesses)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit: %w", err)
	}
	c, err := openNote(signed, known, cosigners)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit: %w", err)
	}
	return c, nil
}

// AddCosignatures returns a checkpoint with these signature lines behind its own,
// without those that it has.
func AddCosignatures(signed []byte, lines ...[]byte) []byte {
	signed = bytes.Clone(signed)
	for _, l := range lines {
		if !bytes.Contains(signed, append([]byte("\n"), l...)) {
			signed = append(signed, l...)
		}
	}
	return signed
}

// A cosigner is the public key of a witness. It implements [note.Verifier].
type cosigner struct {
	name string
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string { return c.name }

func (c *cosigner) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(c.name+"\n"), c.material()...))
	return binary.BigEndian.Uint32(sum[:])
}

func (c *cosigner) material() []byte { return append([]byte{typeCosignature}, c.key...) }

func (c *cosigner) id() string { return fmt.Sprintf("%s+%08x", c.name, c.KeyHash()) }

func (c *cosigner) text() string {
	return c.id() + "+" + base64.StdEncoding.EncodeToString(c.material())
}

// Verify implements [note.Verifier] for a timestamped signature.
func (c *cosigner) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	return at <= math.MaxInt64 && ed25519.Verify(c.key, cosigned(text, int64(at)), sig[8:])
}

// cosigned is the message that a witness signs.
func cosigned(text []byte, at int64) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), text...)
}

// cosign makes the signature line of a witness.
func cosign(c *cosigner, text []byte, at time.Time, s keys.Signer) ([]byte, error) {
	seconds := at.Unix()
	if seconds < 0 {
		return nil, errors.New("the clock stands before 1970")
	}
	sig, err := s.Sign(nil, cosigned(text, seconds), crypto.Hash(0)) // Ed25519 needs no randomness
	if err != nil {
		return nil, fmt.Errorf("sign: %v", err)
	}
	stamped := append(binary.BigEndian.AppendUint64(nil, uint64(seconds)), sig...)
	if !c.Verify(text, stamped) {
		return nil, errors.New("the signature just made does not verify")
	}
	whole := append(binary.BigEndian.AppendUint32(nil, c.KeyHash()), stamped...)
	return fmt.Appendf(nil, "— %s %s\n", c.name, base64.StdEncoding.EncodeToString(whole)), nil
}

// parseWitness reads the key of a witness in its exact form.
func parseWitness(vkey string) (*cosigner, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, material, _ := strings.Cut(rest, "+")
	b, err := base64.StdEncoding.Strict().DecodeString(material)
	if err != nil || len(b) != 1+ed25519.PublicKeySize || b[0] != typeCosignature {
		return nil, errors.New("not the key of a witness (NAME+HASH+KEY of type 4, Ed25519)")
	}
	c := &cosigner{name: name, key: b[1:]}
	// The name must be one that a signed note can have: ask for a key of a log.
	plain, err := note.NewEd25519VerifierKey(name, c.key)
	if err == nil {
		_, err = note.NewVerifier(plain)
	}
	if err != nil {
		return nil, fmt.Errorf("name: %v", err)
	}
	if c.text() != vkey || strings.ContainsAny(vkey, "\r\n") {
		return nil, errors.New("not in its exact form")
	}
	return c, nil
}

// parseWitnesses reads keys of witnesses, a line each; none is fine.
func parseWitnesses(text string) ([]*cosigner, error) {
	var all []*cosigner
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		c, err := parseWitness(strings.TrimSuffix(line, "\n"))
		switch {
		case err != nil:
			return nil, fmt.Errorf("witness key in line %d: %w", len(all)+1, err)
		case seen[c.id()]:
			return nil, fmt.Errorf("witness key in line %d is there twice", len(all)+1)
		case len(all) == maxKeys:
			return nil, fmt.Errorf("more than %d witness keys", maxKeys)
		}
		seen[c.id()] = true
		all = append(all, c)
	}
	return all, nil
}

// cosignatures are the verified signatures of witnesses among those of a note.
func cosignatures(sigs []note.Signature, witnesses []*cosigner) (list []Cosignature) {
	for _, s := range sigs {
		isOf := func(c *cosigner) bool { return c.name == s.Name && c.KeyHash() == s.Hash }
		if !slices.ContainsFunc(witnesses, isOf) {
			continue
		}
		b, _ := base64.StdEncoding.DecodeString(s.Base64) // it was verified
		list = append(list, Cosignature{
			Witness: fmt.Sprintf("%s+%08x", s.Name, s.Hash),
			Time:    time.Unix(int64(binary.BigEndian.Uint64(b[4:])), 0).UTC(),
			Line:    fmt.Appendf(nil, "— %s %s\n", s.Name, s.Base64),
		})
	}
	slices.SortStableFunc(list, func(a, b Cosignature) int { return cmp.Compare(a.Witness, b.Witness) })
	return list
}
