package audit

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sanad-id/sanad/keys"
)

const (
	maxNote = 64 << 10
	maxKeys = 64
)

// A Checkpoint is a signed head: the statement of the log's owner that the log
// had this many entries with this root.
type Checkpoint struct {
	// Origin names the log; it is the first line of the checkpoint.
	Origin string
	Head
	// Signers are the known keys of the log that signed it, as NAME+HASH.
	Signers []string
	// Cosignatures are those of known witnesses; see [OpenCosigned].
	Cosignatures []Cosignature
	// Unknown counts signatures by keys that we do not know, of witnesses say.
	Unknown int
}

// VerifierKey returns the public key of a log in the text form of signed notes
// (NAME+HASH+KEY), without a line break. Origin must not contain blanks or "+";
// the key must be an Ed25519 key.
func VerifierKey(origin string, pub keys.PublicKey) (string, error) {
	key, ok := pub.Crypto().(ed25519.PublicKey)
	if !ok {
		return "", fmt.Errorf("audit: checkpoints are signed with %s only, not with %s", keys.EdDSA, pub.Algorithm())
	}
	vkey, err := note.NewEd25519VerifierKey(origin, key)
	if err != nil {
		return "", fmt.Errorf("audit: verifier key: %v", err)
	}
	if _, err := note.NewVerifier(vkey); err != nil {
		return "", fmt.Errorf("audit: %q is no name for a log: %v", clip(origin), err)
	}
	return vkey, nil
}

// SignCheckpoint signs the head of the log called origin and returns the
// checkpoint (C2SP tlog-checkpoint: origin, size and root, a line each, as a
// signed note). The key must be of purpose audit and may sign at this time. The
// signature is checked before it is returned.
func SignCheckpoint(origin string, h Head, at time.Time, s keys.Signer) ([]byte, error) {
	if err := keys.CheckSigner(s, keys.Audit, at); err != nil {
		return nil, fmt.Errorf("audit: sign checkpoint: %w", err)
	}
	vkey, err := VerifierKey(origin, s.Key().Public)
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("audit: verifier key: %v", err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, h.Size, h.Root)
	signed, err := note.Sign(&note.Note{Text: text}, noteSigner{v, s})
	if err != nil {
		return nil, fmt.Errorf("audit: sign checkpoint: %v", err)
	}
	if _, err := note.Open(signed, note.VerifierList(v)); err != nil {
		return nil, fmt.Errorf("audit: the signature just made does not verify: %v", err)
	}
	return signed, nil
}

// A noteSigner lets a key of ours sign notes.
type noteSigner struct {
	note.Verifier // for name and key hash
	signer        keys.Signer
}

// Sign implements [note.Signer].
func (s noteSigner) Sign(msg []byte) ([]byte, error) {
	return s.signer.Sign(nil, msg, crypto.Hash(0)) // Ed25519 needs no randomness
}

// OpenCheckpoint checks the signatures of a checkpoint and returns what it
// says. vkeys holds the keys of the log, a line each as [VerifierKey] makes them;
// at least one must have signed. It accepts the exact form only, so that no
// character of a checkpoint can be changed unnoticed.
func OpenCheckpoint(signed []byte, vkeys string) (Checkpoint, error) {
	known, err := parseKeys(vkeys)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit: %w", err)
	}
	c, err := openCheckpoint(signed, known)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit: %w", err)
	}
	return c, nil
}

func openCheckpoint(signed []byte, known []note.Verifier) (Checkpoint, error) {
	return openNote(signed, known, nil)
}

// openNote checks a checkpoint. At least one key of known must have signed.
func openNote(signed []byte, known []note.Verifier, witnesses []*cosigner) (Checkpoint, error) {
	if len(signed) > maxNote {
		return Checkpoint{}, fmt.Errorf("checkpoint of %d bytes, at most %d", len(signed), maxNote)
	}
	all := slices.Clone(known)
	for _, w := range witnesses {
		all = append(all, w)
	}
	n, err := note.Open(signed, note.VerifierList(all...))
	if _, unknown := errors.AsType[*note.UnverifiedNoteError](err); unknown {
		return Checkpoint{}, errors.New("checkpoint is signed by no key of this log")
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %v", err)
	}
	// note.Open reads over repeated signatures and loose base64: what it
	// understood must be all there is.
	sigs := signed[len(n.Text)+1:]
	if bytes.Count(sigs, []byte("\n")) != len(n.Sigs)+len(n.UnverifiedSigs) {
		return Checkpoint{}, errors.New("checkpoint repeats a signature")
	}
	c := Checkpoint{Unknown: len(n.UnverifiedSigs)}
	for _, s := range append(n.Sigs, n.UnverifiedSigs...) {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return Checkpoint{}, errors.New("checkpoint has a signature in loose base64")
		}
	}
	own := slices.DeleteFunc(slices.Clone(n.Sigs), func(s note.Signature) bool {
		return !slices.ContainsFunc(known, func(v note.Verifier) bool { return v.Name() == s.Name && v.KeyHash() == s.Hash })
	})
	if len(own) == 0 {
		return Checkpoint{}, errors.New("checkpoint is signed by no key of this log")
	}
	for _, s := range own {
		c.Signers = append(c.Signers, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
	}
	c.Cosignatures = cosignatures(n.Sigs, witnesses)
	if err := c.parseText(n.Text); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	for _, s := range own {
		if s.Name != c.Origin {
			return Checkpoint{}, fmt.Errorf("checkpoint of the log %q is signed by a key of %q", clip(c.Origin), clip(s.Name))
		}
	}
	return c, nil
}

// parseText reads the signed text. Lines after the third are extensions, which
// the specification lets a log add and a reader ignore.
func (c *Checkpoint) parseText(text string) error {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 {
		return errors.New("fewer than three lines")
	}
	if lines[0] == "" {
		return errors.New("no origin")
	}
	c.Origin = lines[0]
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return errors.New("second line is no size")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(Hash{}) {
		return errors.New("third line is no root hash")
	}
	c.Head = Head{Size: size, Root: Hash(root)}
	return nil
}

// parseKeys reads verifier keys, a line each. It accepts the exact form only.
func parseKeys(text string) ([]note.Verifier, error) {
	var known []note.Verifier
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		vkey := strings.TrimSuffix(line, "\n")
		v, err := note.NewVerifier(vkey)
		if err != nil {
			return nil, fmt.Errorf("verifier key in line %d: %v", len(known)+1, err)
		}
		// The hash is not case-sensitive for note, but it is for us.
		// The key itself is base64, which has a "+" of its own.
		key, ok := strings.CutPrefix(vkey, fmt.Sprintf("%s+%08x+", v.Name(), v.KeyHash()))
		if _, err := base64.StdEncoding.Strict().DecodeString(key); !ok || err != nil || strings.ContainsAny(vkey, "\r\n") {
			return nil, fmt.Errorf("verifier key in line %d is not in its exact form", len(known)+1)
		}
		if seen[vkey] {
			return nil, fmt.Errorf("verifier key in line %d is there twice", len(known)+1)
		}
		seen[vkey] = true
		if known = append(known, v); len(known) > maxKeys {
			return nil, fmt.Errorf("more than %d verifier keys", maxKeys)
		}
	}
	if len(known) == 0 {
		return nil, errors.New("no verifier key")
	}
	return known, nil
}
