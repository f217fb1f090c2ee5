//go:build !js

package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"github.com/sanad-id/sanad/internal/durable"
)

// Errors of a keystore file, each for one state that a program must not start
// on. The text around them says what to do.
var (
	// ErrNoFile: there is no file at this path.
	ErrNoFile = errors.New("keys: no such file")
	// ErrFileExists: a file would have been overwritten.
	ErrFileExists = errors.New("keys: file exists already")
	// ErrFileMode: users other than the owner may read or change the file.
	ErrFileMode = errors.New("keys: file is open to other users")
	// ErrForeignFile: the file is something else than a keystore.
	ErrForeignFile = errors.New("keys: not a keystore")
	// ErrFileVersion: a keystore in a form that this program does not know.
	ErrFileVersion = errors.New("keys: keystore of an unknown version")
	// ErrTruncatedFile: the file ends too early.
	ErrTruncatedFile = errors.New("keys: keystore is cut short")
	// ErrCorruptFile: the file was changed by something that is not Sanad.
	ErrCorruptFile = errors.New("keys: keystore is corrupt")
	// ErrPassphrase: the file is sound and the passphrase is not its own.
	ErrPassphrase = errors.New("keys: wrong passphrase")
)

// minPassphrase is the fewest bytes of a passphrase that protects a new file.
const minPassphrase = 8

// A File is a [Keystore] in one encrypted file: for development and small
// installations. Anybody who has file and passphrase has the keys, so the two
// never belong into one backup; where more is at stake keys live in an HSM.
//
// A change is written to a new file that then takes the place of the old one, so
// that a crash leaves one or the other whole. Several programs may use one file:
// a change locks it and is made to what the file says at that moment. Writing
// needs a system with flock (Linux, macOS, BSD).
type File struct {
	path   string
	header header
	seal   sealer

	changing sync.Mutex // held while this program changes the file

	mu  sync.RWMutex
	raw []byte // the file as it was last read or written
	// seen is what the file system said of raw before it was read; nil if the file was
	// changed so lately that another change might not show.
	seen fs.FileInfo
	held content
	// tried are the signers of held that were tried, by their key.
	tried map[ID]Signer
}

var _ Keystore = (*File)(nil)

// content is what the file holds once it is open. Secrets are inside functions,
// where neither fmt nor reflection finds them.
type content struct {
	identity string
	master   func() []byte
	entries  []entry
}

type entry struct {
	key     Key
	private func() []byte // PKCS #8
}

// same reports whether both are what was read, or written, at one time.
func (c content) same(other content) bool {
	return len(c.entries) == len(other.entries) && (len(c.entries) == 0 || &c.entries[0] == &other.entries[0])
}

// find returns the place of a key, or -1.
func (c content) find(id ID) int {
	return slices.IndexFunc(c.entries, func(e entry) bool { return e.key.ID() == id })
}

// CreateFile makes an empty keystore that only its owner can read. It never
// overwrites: an existing path is ErrFileExists. The passphrase needs 8 bytes and
// is not kept. Salt and master secret are read from rnd, or from the system if it
// is nil; key pairs always come from the system.
func CreateFile(path string, passphrase []byte, rnd io.Reader) (*File, error) {
	return DefaultCost().CreateFile(path, passphrase, rnd)
}

// CreateFile is [CreateFile] with a cost other than the default.
func (c Cost) CreateFile(path string, passphrase []byte, rnd io.Reader) (*File, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if len(passphrase) < minPassphrase || len(passphrase) > maxPassphrase {
		return nil, fmt.Errorf("create keystore %s: %w: it has %d bytes; choose one of %d to %d",
			path, ErrPassphrase, len(passphrase), minPassphrase, maxPassphrase)
	}
	if rnd == nil {
		rnd = rand.Reader
	}
	f := &File{path: path}
	master, identity := make([]byte, secretSize), make([]byte, 16)
	for _, b := range [][]byte{f.header.salt[:], master, identity} {
		if _, err := io.ReadFull(rnd, b); err != nil {
			return nil, fmt.Errorf("create keystore %s: read randomness: %w", path, err)
		}
	}
	f.header.cost = c
	f.seal = f.header.unlock(passphrase)
	f.header.check = f.seal.check(f.header)
	f.held = content{identity: fmt.Sprintf("%x", identity), master: func() []byte { return master }}
	raw, err := f.encode(f.held)
	if err != nil {
		return nil, fmt.Errorf("create keystore %s: %w", path, err)
	}
	err = durable.Create(path, raw, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create keystore %s: %w; open it, or choose another path", path, ErrFileExists)
	}
	if err != nil {
		return nil, fmt.Errorf("create keystore %s: %w", path, err)
	}
	f.raw = raw
	return f, f.resolve()
}

// OpenFile opens a keystore. Each state of the file that must stop a program has
// its own error: ErrNoFile, ErrFileMode, ErrForeignFile, ErrFileVersion,
// ErrTruncatedFile, ErrCorruptFile and ErrPassphrase.
func OpenFile(path string, passphrase []byte) (*File, error) {
	f := &File{path: path}
	if err := f.open(passphrase); err != nil {
		return nil, fmt.Errorf("open keystore %s: %w", path, err)
	}
	return f, f.resolve()
}

func (f *File) open(passphrase []byte) error {
	raw, err := readPrivate(f.path)
	if err != nil {
		return err
	}
	h, body, err := parseFile(raw)
	if err != nil {
		return err
	}
	if len(passphrase) == 0 || len(passphrase) > maxPassphrase {
		return fmt.Errorf("%w: it has %d bytes", ErrPassphrase, len(passphrase))
	}
	s := h.unlock(passphrase)
	if !h.opens(s) {
		return fmt.Errorf("%w: check that it is the one of this file; there is no way to recover it", ErrPassphrase)
	}
	held, err := decode(s, h, body)
	if err != nil {
		return err
	}
	f.header, f.seal, f.raw, f.held = h, s, raw, held
	return nil
}

// resolve replaces a symbolic link by what it points at, since a change would
// otherwise take the place of the link.
func (f *File) resolve() error {
	path, err := filepath.EvalSymlinks(f.path)
	if err == nil {
		f.path = path
	}
	return err
}

// Path returns where the file is.
func (f *File) Path() string { return f.path }

// Identity returns a random name that the file got when it was created. A
// program can keep it elsewhere to notice that it was given another keystore.
func (f *File) Identity() string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.held.identity
}

// Reload reads what other programs have changed. [File.Keys], [File.Signer] and
// every change do so by themselves; a [Signer] that is held for long follows only
// then.
func (f *File) Reload(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.load(); err != nil {
		return fmt.Errorf("read keystore %s: %w", f.path, err)
	}
	return nil
}

func (f *File) load() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := look(f.path)
	if err == nil && unchanged(f.seen, info) {
		return nil
	}
	f.seen = nil
	raw, err := readPrivate(f.path)
	if err != nil {
		return err
	}
	if bytes.Equal(raw, f.raw) {
		f.seen = settled(info)
		return nil
	}
	h, body, err := parseFile(raw)
	if err != nil {
		return err
	}
	if h != f.header {
		return fmt.Errorf("%w that was opened: it was replaced; restart to open the new one", ErrForeignFile)
	}
	held, err := decode(f.seal, h, body)
	if err != nil {
		return err
	}
	f.raw, f.held, f.tried, f.seen = raw, held, nil, settled(info)
	return nil
}

// snapshot returns what the file holds now.
func (f *File) snapshot(ctx context.Context) (content, error) {
	if err := f.Reload(ctx); err != nil {
		return content{}, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.held, nil
}

// change applies edit to what the file holds now and stores the result.
func (f *File) change(ctx context.Context, edit func(*content) error) error {
	f.changing.Lock()
	defer f.changing.Unlock()
	unlock, err := lockFile(ctx, f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("lock keystore %s: %w; restore it from its backup", f.path, ErrNoFile)
	}
	if err != nil {
		return fmt.Errorf("lock keystore %s: %w", f.path, err)
	}
	defer unlock()
	held, err := f.snapshot(ctx)
	if err != nil {
		return err
	}
	held.entries = slices.Clone(held.entries)
	if err := edit(&held); err != nil {
		return err
	}
	raw, err := f.encode(held)
	if err == nil {
		err = durable.Replace(f.path, raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write keystore %s: %w", f.path, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.raw, f.held, f.tried, f.seen = raw, held, nil, nil
	return nil
}

// Keys implements [Keystore].
func (f *File) Keys(ctx context.Context) ([]Key, error) {
	held, err := f.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Key, len(held.entries))
	for i, e := range held.entries {
		all[i] = e.key
	}
	return all, nil
}

// Signer implements [Keystore]. It tries the key before it returns, once for each
// content of the file.
func (f *File) Signer(ctx context.Context, id ID) (Signer, error) {
	held, err := f.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if s, ok := f.signer(held, id); ok {
		return s, nil
	}
	i := held.find(id)
	if i < 0 {
		return nil, fmt.Errorf("%w: %s is not in %s", ErrNoKey, id, f.path)
	}
	e := held.entries[i]
	private, err := parsePrivate(e.private())
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", id, err)
	}
	if err := selfTest(e.key.Public, private); err != nil {
		return nil, err
	}
	s, err := newSigner(func() Key { return f.current(e.key) }, private)
	if err != nil {
		return nil, err
	}
	f.keep(held, id, s)
	return s, nil
}

// signer returns a signer that was tried since the file had this content.
func (f *File) signer(held content, id ID) (Signer, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	s, ok := f.tried[id]
	return s, ok && f.held.same(held)
}

// keep keeps a signer that was tried as long as the file has this content.
func (f *File) keep(held content, id ID, s Signer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.held.same(held) {
		return
	}
	if f.tried == nil {
		f.tried = map[ID]Signer{}
	}
	f.tried[id] = s
}

// current returns the key as it was last read or written.
func (f *File) current(k Key) Key {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if i := f.held.find(k.ID()); i >= 0 {
		return f.held.entries[i].key
	}
	return k
}

// Generate implements [Keystore].
func (f *File) Generate(ctx context.Context, spec Spec) (Key, error) {
	k, alg, err := spec.Plan()
	if err != nil {
		return Key{}, err
	}
	private, err := alg.row().generate()
	if err != nil {
		return Key{}, fmt.Errorf("generate %s key: %w", k.Purpose, err)
	}
	if k.Public, err = NewPublicKey(alg, private.Public()); err != nil {
		return Key{}, fmt.Errorf("generate %s key: %w", k.Purpose, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, fmt.Errorf("generate %s key: %w", k.Purpose, err)
	}
	// What is tested is what will be read back, not what is in memory now.
	stored, err := parsePrivate(der)
	if err != nil {
		return Key{}, err
	}
	if err := selfTest(k.Public, stored); err != nil {
		return Key{}, err
	}
	err = f.change(ctx, func(c *content) error {
		if c.find(k.ID()) >= 0 {
			return fmt.Errorf("keys: internal error: key %s exists already", k.ID())
		}
		c.entries = append(c.entries, entry{key: k, private: func() []byte { return der }})
		return nil
	})
	if err != nil {
		return Key{}, err
	}
	return k, nil
}

// Update implements [Keystore].
func (f *File) Update(ctx context.Context, k Key) error {
	k.Published, k.SignFrom, k.SignUntil = whole(k.Published), whole(k.SignFrom), whole(k.SignUntil)
	k.VerifyUntil, k.CompromisedSince = whole(k.VerifyUntil), whole(k.CompromisedSince)
	return f.change(ctx, func(c *content) error {
		i := c.find(k.ID())
		if i < 0 {
			return fmt.Errorf("%w: %s is not in %s", ErrNoKey, k.ID(), f.path)
		}
		if err := c.entries[i].key.CheckUpdate(k); err != nil {
			return err
		}
		c.entries[i].key = k
		return nil
	})
}

// Secret returns 32 secret bytes that belong to this keystore and label: the same
// each time, unrelated to those of any other label. Use one label for one thing.
func (f *File) Secret(label string) ([]byte, error) {
	if label == "" {
		return nil, errors.New("keys: Secret needs a label")
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return hkdf.Key(sha256.New, f.held.master(), nil, "sanad secret: "+label, secretSize)
}

// String names the file. It never shows what is in it.
func (f *File) String() string { return "keystore " + f.path }

// GoString is String.
func (f *File) GoString() string { return f.String() }

// Format is String for every verb.
func (f *File) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.String()) }

// LogValue is String.
func (f *File) LogValue() slog.Value { return slog.StringValue(f.String()) }

// MarshalJSON always fails.
func (f *File) MarshalJSON() ([]byte, error) {
	return nil, errors.New("keys: a keystore has no JSON form")
}

// parsePrivate reads a private key of one of the accepted algorithms.
func parsePrivate(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: a private key in it cannot be read", ErrCorruptFile)
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a key in it cannot sign", ErrCorruptFile)
	}
	return s, nil
}
