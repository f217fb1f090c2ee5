package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// Limits of roots.
const (
	// maxRoots is how many roots a bundle may carry: one for each change of root or
	// bundle keys since the beginning.
	maxRoots = 64
	// MaxQuorum is how many root keys, and how many bundle keys, a root may name.
	MaxQuorum = 9
	// maxRootSignatures is how many signatures all roots may have together, so that a
	// made-up chain costs no more to look at than a long honest one.
	maxRootSignatures = 4 * maxRoots
)

// Errors about who signed.
var (
	// ErrQuorum: too few of the keys that must sign have signed, or one of their
	// signatures is wrong.
	ErrQuorum = errors.New("trust: not signed by the quorum")
	// ErrRootChain: the roots do not follow from one another, or not from the one
	// that was trusted before.
	ErrRootChain = errors.New("trust: broken chain of roots")
	// ErrRootExpired: signed when the root was no longer, or not yet, valid.
	ErrRootExpired = errors.New("trust: outside the lifetime of the root")
)

const (
	kindRoot        = "sanad-trust-root"
	contentTypeRoot = "application/vnd.sanad.trust-root+cbor"
)

// A Root says whose signatures make a bundle. It lives for years and changes when
// one of the keys does.
type Root struct {
	// Version is 1 for the first root and one more for each that follows.
	Version uint64
	// Issued and Expires are its lifetime, in whole seconds. Bundles must be dated
	// within; a verifier past the end treats what it has as expired.
	Issued, Expires time.Time
	// Keys are the root keys, of which Threshold must sign this root and the next.
	Keys      []keys.PublicKey
	Threshold int
	// BundleKeys are the keys of which BundleThreshold must sign each bundle.
	BundleKeys      []keys.PublicKey
	BundleThreshold int
}

// check returns what is wrong with the root, nil if nothing is.
func (r Root) check() error {
	if r.Version == 0 {
		return errors.New("version 0")
	}
	if r.Issued.IsZero() || !r.Expires.After(r.Issued) {
		return errors.New("expires before it is issued")
	}
	for _, set := range []struct {
		name      string
		keys      []keys.PublicKey
		threshold int
	}{{"root keys", r.Keys, r.Threshold}, {"bundle keys", r.BundleKeys, r.BundleThreshold}} {
		if n := len(set.keys); n == 0 || n > MaxQuorum || set.threshold < 1 || set.threshold > n {
			return fmt.Errorf("%d of %d %s, want 1 to %d keys and at least 1 of them", set.threshold, n, set.name, MaxQuorum)
		}
	}
	// A signature finds its key by id, so ids must differ. A key in both sets would
	// make the offline quorum worth no more than the online one.
	seen := map[keys.ID]bool{}
	for _, k := range slices.Concat(r.Keys, r.BundleKeys) {
		if k.IsZero() {
			return errors.New("an empty key")
		}
		if seen[k.ID()] {
			return fmt.Errorf("key %s is named twice", k.ID())
		}
		seen[k.ID()] = true
	}
	return nil
}

// fingerprint is 30 digits in six groups of five that people compare with a poster
// or the official gazette. It names the first root by its keys and threshold:
//
//	sum     = SHA-256( "sanad trust root 1" 0x00 | threshold, one byte
//	          | the RFC 9679 SHA-256 thumbprints of the root keys, sorted )
//	group i = bytes 5i to 5i+4 of sum as a big-endian number, modulo 100 000
//
// To find other keys with the same digits takes about 2^99 tries.
func (r Root) fingerprint() string {
	var thumbprints [][]byte
	for _, k := range r.Keys {
		t := k.Thumbprint()
		thumbprints = append(thumbprints, t[:])
	}
	slices.SortFunc(thumbprints, bytes.Compare)
	h := sha256.New()
	h.Write(append([]byte("sanad trust root 1\x00"), byte(r.Threshold)))
	for _, t := range thumbprints {
		h.Write(t)
	}
	sum := h.Sum(nil)
	groups := make([]string, 6)
	for i := range groups {
		var number [8]byte
		copy(number[3:], sum[5*i:5*i+5])
		groups[i] = fmt.Sprintf("%05d", binary.BigEndian.Uint64(number[:])%100_000)
	}
	return strings.Join(groups, " ")
}

type wireRoot struct {
	Kind            string            `cbor:"0,keyasint"`
	Version         uint64            `cbor:"1,keyasint"`
	Issued          int64             `cbor:"2,keyasint"`
	Expires         int64             `cbor:"3,keyasint"`
	Keys            []cbor.RawMessage `cbor:"4,keyasint"`
	Threshold       int               `cbor:"5,keyasint"`
	BundleKeys      []cbor.RawMessage `cbor:"6,keyasint"`
	BundleThreshold int               `cbor:"7,keyasint"`
}

func (r Root) marshal() ([]byte, error) {
	w := wireRoot{
		Kind: kindRoot, Version: r.Version, Issued: seconds(r.Issued), Expires: seconds(r.Expires),
		Threshold: r.Threshold, BundleThreshold: r.BundleThreshold,
	}
	for _, k := range r.Keys {
		w.Keys = append(w.Keys, k.COSEKey())
	}
	for _, k := range r.BundleKeys {
		w.BundleKeys = append(w.BundleKeys, k.COSEKey())
	}
	return cbor.Marshal(w)
}

// A signedRoot is a root with the message that it came in.
type signedRoot struct {
	Root
	message *cose.SignMessage
	hash    [32]byte // of the payload
	good    checked
}

// checked are the keys, by thumbprint, whose signatures under one message were
// found right. A key that belongs to two quorums signs once and is checked once.
type checked map[[32]byte]bool

func parseRoot(b []byte) (signedRoot, error) {
	m, err := cose.ParseSign(b)
	if err != nil {
		return signedRoot{}, explain("root", err)
	}
	var w wireRoot
	if err := unmarshal(m.Payload, &w); err != nil {
		return signedRoot{}, fmt.Errorf("root: %w", err)
	}
	// The content type keeps the root keys' signatures apart from those over
	// anything else; the word in the payload does so for readers that drop headers.
	if m.ContentType != contentTypeRoot || w.Kind != kindRoot {
		return signedRoot{}, fmt.Errorf("%w: root: signed as something else", ErrMalformed)
	}
	if len(w.Keys) > MaxQuorum || len(w.BundleKeys) > MaxQuorum {
		return signedRoot{}, fmt.Errorf("%w: root: %d and %d keys", ErrTooLarge, len(w.Keys), len(w.BundleKeys))
	}
	r := signedRoot{message: m, hash: sha256.Sum256(m.Payload), good: checked{}}
	r.Root = Root{
		Version: w.Version, Issued: date(w.Issued), Expires: date(w.Expires),
		Threshold: w.Threshold, BundleThreshold: w.BundleThreshold,
	}
	if r.Keys, err = parseKeys(w.Keys); err == nil {
		r.BundleKeys, err = parseKeys(w.BundleKeys)
	}
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return signedRoot{}, fmt.Errorf("%w: root %d: %v", ErrMalformed, w.Version, err)
	}
	return r, nil
}

func parseKeys(raw []cbor.RawMessage) ([]keys.PublicKey, error) {
	out := make([]keys.PublicKey, len(raw))
	for i, b := range raw {
		k, err := keys.ParseCOSEKey(b)
		if err != nil {
			return nil, err
		}
		out[i] = k
	}
	return out, nil
}

// parseRoots reads the roots of a bundle without looking at signatures.
func parseRoots(chain [][]byte) ([]signedRoot, error) {
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: no root", ErrRootChain)
	}
	if len(chain) > maxRoots {
		return nil, fmt.Errorf("%w: %d roots", ErrTooLarge, len(chain))
	}
	roots := make([]signedRoot, len(chain))
	signatures := 0
	for i, b := range chain {
		r, err := parseRoot(b)
		if err != nil {
			return nil, err
		}
		if r.Version != uint64(i)+1 {
			return nil, fmt.Errorf("%w: root %d where root %d should stand", ErrRootChain, r.Version, i+1)
		}
		if signatures += len(r.message.Signatures); signatures > maxRootSignatures {
			return nil, fmt.Errorf("%w: more than %d signatures of roots", ErrTooLarge, maxRootSignatures)
		}
		roots[i] = r
	}
	return roots, nil
}

// verifyRoots checks that the first root is signed by its own quorum and each
// later one by its own and by the one before.
func verifyRoots(roots []signedRoot) error {
	for i, r := range roots {
		if err := quorum(r.message, r.Keys, r.Threshold, r.good); err != nil {
			return fmt.Errorf("root %d, by its own keys: %w", r.Version, err)
		}
		if i == 0 {
			continue
		}
		before := roots[i-1]
		if err := quorum(r.message, before.Keys, before.Threshold, r.good); err != nil {
			return fmt.Errorf("root %d, by the keys of root %d: %w", r.Version, before.Version, err)
		}
		if r.Issued.Before(before.Issued) {
			return fmt.Errorf("%w: root %d is older than root %d", ErrRootChain, r.Version, before.Version)
		}
	}
	return nil
}

// quorum checks that at least threshold of the keys have signed. Several
// signatures by one key count once, those of other keys not at all. A signature
// that names one of the keys and is wrong spoils the message, however many right
// ones there are: nobody who may sign made it.
func quorum(m *cose.SignMessage, of []keys.PublicKey, threshold int, seen checked) error {
	good := 0
	for _, k := range of {
		id := k.ID()
		i := slices.IndexFunc(m.Signatures, func(s cose.SignatureInfo) bool { return bytes.Equal(s.KeyID, id.Bytes()) })
		if i < 0 {
			continue
		}
		if !seen[k.Thumbprint()] {
			if err := m.VerifySignature(i, k.Algorithm(), k); err != nil {
				return fmt.Errorf("%w: the signature of key %s is wrong", ErrQuorum, id)
			}
			seen[k.Thumbprint()] = true
		}
		good++
	}
	if good < threshold {
		return fmt.Errorf("%w: %d signed, want %d of %d", ErrQuorum, good, threshold, len(of))
	}
	return nil
}

// SignRoot signs the next root and returns the chain with it. Chain is the
// Roots of the last bundle, nil for the first root. The signers must be enough of
// the new root's keys and, unless it is the first, of the old one's; a key in both
// signs once. They are root keys (keys.TrustRoot).
func SignRoot(rnd io.Reader, chain [][]byte, r Root, signers []keys.Signer, now time.Time) ([][]byte, error) {
	r.Issued, r.Expires = whole(r.Issued), whole(r.Expires)
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("sign root: %w: %v", ErrContent, err)
	}
	if r.Version != uint64(len(chain))+1 {
		return nil, fmt.Errorf("sign root: %w: version %d after %d roots", ErrContent, r.Version, len(chain))
	}
	if r.Issued.After(now) || !r.Expires.After(now) {
		return nil, fmt.Errorf("sign root: %w: it is not valid today", ErrRootExpired)
	}
	may := slices.Clone(r.Keys)
	if len(chain) > 0 {
		last, err := parseRoot(chain[len(chain)-1])
		if err != nil {
			return nil, fmt.Errorf("sign root: %w", err)
		}
		may = append(may, last.Keys...)
	}
	if err := checkSigners(signers, keys.TrustRoot, may, now); err != nil {
		return nil, fmt.Errorf("sign root: %w", err)
	}
	payload, err := r.marshal()
	if err != nil {
		return nil, fmt.Errorf("sign root: %w", err)
	}
	signed, err := cose.Sign(rnd, signers, contentTypeRoot, payload)
	if err != nil {
		return nil, fmt.Errorf("sign root: %w", err)
	}
	// What we publish is first read the way verifiers will.
	next := append(slices.Clone(chain), signed)
	roots, err := parseRoots(next)
	if err == nil {
		err = verifyRoots(roots)
	}
	if err != nil {
		return nil, fmt.Errorf("sign root: %w", err)
	}
	return next, nil
}

// checkSigners checks that each signer may sign with this purpose, is one of
// the keys, and comes once.
func checkSigners(signers []keys.Signer, p keys.Purpose, may []keys.PublicKey, now time.Time) error {
	seen := map[keys.ID]bool{}
	for _, s := range signers {
		if err := keys.CheckSigner(s, p, now); err != nil {
			return err
		}
		public := s.Key().Public
		if !slices.ContainsFunc(may, public.Equal) {
			return fmt.Errorf("%w: key %s is none that may sign", ErrQuorum, public.ID())
		}
		if seen[public.ID()] {
			return fmt.Errorf("%w: key %s would sign twice", ErrQuorum, public.ID())
		}
		seen[public.ID()] = true
	}
	return nil
}
