package trust

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// An envelope is a bundle whose signatures were verified and whose content was
// not looked at yet.
type envelope struct {
	wire  wireBundle
	roots []signedRoot
	hash  [32]byte // of the payload
}

// openEnvelope reads an inflated file as far as its signatures. It calls pinned
// with the roots before any signature is checked, so that a file of somebody
// else's costs next to nothing; pinned may be nil.
func openEnvelope(raw []byte, pinned func(roots []signedRoot) error) (*envelope, error) {
	m, err := cose.ParseSign(raw)
	if err != nil {
		return nil, explain("bundle", err)
	}
	if m.ContentType != contentTypeBundle {
		return nil, fmt.Errorf("%w: not a trust bundle but %.80q", ErrMalformed, m.ContentType)
	}
	e := &envelope{hash: sha256.Sum256(m.Payload)}
	if err := unmarshal(m.Payload, &e.wire); err != nil {
		return nil, err
	}
	if e.wire.Kind != kindBundle {
		return nil, fmt.Errorf("%w: not a trust bundle but %.80q", ErrMalformed, e.wire.Kind)
	}
	if e.wire.Format != format {
		return nil, fmt.Errorf("%w: format %d, this release reads %d", ErrFormat, e.wire.Format, format)
	}
	if e.roots, err = parseRoots(e.wire.Roots); err != nil {
		return nil, err
	}
	if pinned != nil {
		if err := pinned(e.roots); err != nil {
			return nil, err
		}
	}
	if err := verifyRoots(e.roots); err != nil {
		return nil, err
	}
	newest := e.roots[len(e.roots)-1]
	if err := quorum(m, newest.BundleKeys, newest.BundleThreshold, checked{}); err != nil {
		return nil, err
	}
	return e, nil
}

// bundle decodes and checks the content.
func (e *envelope) bundle() (*Bundle, error) {
	c, err := e.wire.content()
	if err != nil {
		return nil, err
	}
	if err := c.check().err(ErrMalformed); err != nil {
		return nil, err
	}
	if err := c.inLifetime(e.roots[len(e.roots)-1].Root); err != nil {
		return nil, err
	}
	return newBundle(c, e.roots, e.hash), nil
}

// Open reads a bundle and verifies everything that can be verified from the file
// alone: form and limits, the chain of roots, the quorum of bundle keys, and that
// the content is of one mind. It says nothing about whose bundle it is or whether
// it is the newest; see [Accept].
func Open(file []byte) (*Bundle, error) {
	b, err := open(file)
	if err != nil {
		return nil, fmt.Errorf("open trust bundle: %w", err)
	}
	return b, nil
}

func open(file []byte) (*Bundle, error) {
	raw, err := inflate(file)
	if err != nil {
		return nil, err
	}
	if isDelta(raw) {
		return nil, fmt.Errorf("%w: a delta is no bundle by itself", ErrGap)
	}
	e, err := openEnvelope(raw, nil)
	if err != nil {
		return nil, err
	}
	return e.bundle()
}

// Sign signs the content and returns the file. The signers must be enough of the
// bundle keys that the last of c.Roots names, with the purpose keys.TrustBundle.
// Content that verifiers could not rely on is refused with [ErrContent]: ids that
// are not unique, keys under another id than their own, types that nobody
// describes, missing English labels, lists that do not open, dates out of order.
func (c Content) Sign(rnd io.Reader, signers []keys.Signer, now time.Time) ([]byte, error) {
	file, err := c.sign(rnd, signers, now)
	if err != nil {
		return nil, fmt.Errorf("sign trust bundle: %w", err)
	}
	return file, nil
}

func (c Content) sign(rnd io.Reader, signers []keys.Signer, now time.Time) ([]byte, error) {
	roots, err := parseRoots(c.Roots)
	if err != nil {
		return nil, err
	}
	root := roots[len(roots)-1]
	if err := checkSigners(signers, keys.TrustBundle, root.BundleKeys, now); err != nil {
		return nil, err
	}
	c.AsOf, c.RefreshBy, c.OldAfter = whole(c.AsOf), whole(c.RefreshBy), whole(c.OldAfter)
	if err := slices.Concat(c.check(), c.lint(now)).err(ErrContent); err != nil {
		return nil, err
	}
	if err := c.inLifetime(root.Root); err != nil {
		return nil, err
	}
	payload, err := c.marshal()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrContent, err)
	}
	signed, err := cose.Sign(rnd, signers, contentTypeBundle, payload)
	if err != nil {
		return nil, err
	}
	file, err := deflate(signed)
	if err != nil {
		return nil, err
	}
	// What we publish is first read the way verifiers will. This also finds too few
	// signers, a signer that signs wrongly, and roots that do not hold.
	if _, err := open(file); err != nil {
		return nil, err
	}
	return file, nil
}
