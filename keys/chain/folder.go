package chain

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/keys"
)

// maxPEM is the most bytes of a file with certificates.
const maxPEM = (MaxCertificates + 1) * MaxCertificate * 2

// EncodePEM returns certificates in DER as PEM, in their order.
func EncodePEM(certificates ...[]byte) []byte {
	var b bytes.Buffer
	for _, der := range certificates {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return b.Bytes()
}

// ParsePEM reads the certificates of a text and returns them in DER, in their order.
// Text between them is passed over; anything else in PEM is refused, above all private
// keys ([keys.ErrPrivate]).
func ParsePEM(text []byte) ([][]byte, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("%w: %d bytes of certificates, at most %d", ErrTooLarge, len(text), maxPEM)
	}
	var list [][]byte
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			if bytes.HasSuffix([]byte(block.Type), []byte("PRIVATE KEY")) {
				return nil, keys.ErrPrivate
			}
			return nil, fmt.Errorf("%w: PEM with something else than certificates", ErrMalformed)
		}
		list = append(list, block.Bytes)
	}
	if n := bytes.Count(text, []byte("-----BEGIN ")); n != len(list) || n == 0 {
		return nil, fmt.Errorf("%w: PEM with %d complete certificates of %d", ErrMalformed, len(list), n)
	}
	if len(list) > MaxCertificates+1 {
		return nil, fmt.Errorf("%w: %d certificates, at most %d", ErrTooLarge, len(list), MaxCertificates+1)
	}
	return list, nil
}

// ParseRoot reads the one certificate of a root that somebody decided to trust, in DER:
// an authority with a key that Sanad accepts. Its dates are looked at by [Verify].
func ParseRoot(der []byte) (*x509.Certificate, error) {
	c, err := parseOne(der)
	if err != nil {
		return nil, err
	}
	if !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, fmt.Errorf("%w: not the certificate of a root", ErrAuthority)
	}
	return c, nil
}

// ParseRoots is [ParseRoot] for every certificate of a text in PEM.
func ParseRoots(text []byte) ([]*x509.Certificate, error) {
	list, err := ParsePEM(text)
	if err != nil {
		return nil, err
	}
	var roots []*x509.Certificate
	for i, der := range list {
		c, err := ParseRoot(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		roots = append(roots, c)
	}
	return roots, nil
}

// Import reads the chain in PEM that an authority returned and checks it as [Verify]
// does; want.Key must be set. Roots at its end, which authorities like to add, are
// taken off. It returns the chain in DER, as an x5c header has it.
func Import(text []byte, roots []*x509.Certificate, now time.Time, want Want) ([][]byte, error) {
	if want.Key.IsZero() {
		return nil, errors.New("chain: internal error: Import without a key")
	}
	x5c, err := ParsePEM(text)
	if err != nil {
		return nil, err
	}
	for len(x5c) > 1 {
		last, err := parseOne(x5c[len(x5c)-1])
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(x5c), err)
		}
		if !selfIssued(last) && !slices.ContainsFunc(roots, last.Equal) {
			break
		}
		x5c = x5c[:len(x5c)-1]
	}
	_, err = Verify(x5c, roots, now, want)
	return x5c, err
}

// ErrNoChain: there is no chain for this key.
var ErrNoChain = errors.New("chain: no chain for this key")

// rootsFile is where a folder keeps the roots that its chains lead to.
const rootsFile = "roots.pem"

// A Folder keeps the chains of a keystore, each in a file KEY.pem, and the roots that
// they lead to in roots.pem. All of it is public. Several processes may read it while
// one writes; what is written is durable.
type Folder string

// Chain returns the chain for a key as an x5c header has it, or [ErrNoChain]. A chain
// of another key is [ErrKey], one out of its time [ErrNotYet] or [ErrExpired]; in those
// cases the caller must not sign with it. Whether it leads to a root was checked when
// it was put here. It reads the file each time, so that a new chain is used at once.
func (f Folder) Chain(key keys.PublicKey, now time.Time) ([][]byte, error) {
	path, x5c, err := f.read(key)
	if err == nil {
		err = checkDates(path, now)
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", key.ID(), err)
	}
	return x5c, nil
}

// Leaf returns the certificate of a key, whatever its dates, and when the first of its
// chain expires.
func (f Folder) Leaf(key keys.PublicKey) (leaf *x509.Certificate, notAfter time.Time, err error) {
	path, _, err := f.read(key)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("key %s: %w", key.ID(), err)
	}
	notAfter = path[0].NotAfter
	for _, c := range path {
		if c.NotAfter.Before(notAfter) {
			notAfter = c.NotAfter
		}
	}
	return path[0], notAfter, nil
}

func (f Folder) read(key keys.PublicKey) ([]*x509.Certificate, [][]byte, error) {
	text, err := readFile(f.path(key.ID()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, ErrNoChain
	}
	if err != nil {
		return nil, nil, err
	}
	x5c, err := ParsePEM(text)
	if err != nil {
		return nil, nil, err
	}
	path, err := parse(x5c)
	if err != nil {
		return nil, nil, err
	}
	if pub, err := keys.PublicKeyOf(path[0].PublicKey); err != nil || !pub.Equal(key) {
		return nil, nil, ErrKey
	}
	return path, x5c, nil
}

// Put stores the chain for a key in the place of the one that it had. The chain must
// be good under the folder's roots for want, and for that key.
func (f Folder) Put(x5c [][]byte, now time.Time, want Want) error {
	roots, err := f.Roots()
	if err != nil {
		return err
	}
	if want.Key.IsZero() {
		return errors.New("chain: internal error: Put without a key")
	}
	if _, err := Verify(x5c, roots, now, want); err != nil {
		return err
	}
	return f.write(want.Key.ID().String()+".pem", EncodePEM(x5c...))
}

// Roots returns the roots of the folder; none if nobody has added one.
func (f Folder) Roots() ([]*x509.Certificate, error) {
	text, err := readFile(filepath.Join(string(f), rootsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	roots, err := ParseRoots(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", rootsFile, err)
	}
	return roots, nil
}

// AddRoot adds a root in DER, once. At most 6 have room.
func (f Folder) AddRoot(der []byte) error {
	c, err := ParseRoot(der)
	if err != nil {
		return err
	}
	roots, err := f.Roots()
	if err != nil || slices.ContainsFunc(roots, c.Equal) {
		return err
	}
	var all [][]byte
	for _, r := range append(roots, c) {
		all = append(all, r.Raw)
	}
	text := EncodePEM(all...)
	if _, err := ParseRoots(text); err != nil {
		return err
	}
	return f.write(rootsFile, text)
}

func (f Folder) path(id keys.ID) string { return filepath.Join(string(f), id.String()+".pem") }

func (f Folder) write(name string, text []byte) error {
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(string(f), name), text, 0o644); err != nil {
		return err
	}
	return durable.Sync(filepath.Dir(string(f))) // the folder may be new
}

func readFile(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close() // only read
	return io.ReadAll(io.LimitReader(in, maxPEM+1))
}
