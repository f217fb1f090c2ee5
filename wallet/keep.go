//go:build !js

package wallet

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/sanad-id/sanad/internal/durable"
)

// Errors of a wallet's directory that callers tell apart.
var (
	// ErrExists: there is something already.
	ErrExists = errors.New("wallet: there is something already")
	// ErrNoWallet: there is no wallet.
	ErrNoWallet = errors.New("wallet: no wallet here")
	// ErrPassphrase: not the passphrase of the wallet or of the export.
	ErrPassphrase = errors.New("wallet: wrong passphrase")
	// ErrShortPassphrase: a passphrase of fewer than [MinPassphrase] bytes.
	ErrShortPassphrase = errors.New("wallet: the passphrase is too short")
	// ErrCorrupt: a file is not as the wallet wrote it.
	ErrCorrupt = errors.New("wallet: a file is damaged or was changed")
	// ErrVersion: made by a newer program.
	ErrVersion = errors.New("wallet: made by a newer version of this program")
	// ErrInUse: another program has the wallet open.
	ErrInUse = errors.New("wallet: another program has it open")
	// ErrNotHeld: the wallet has no such credential.
	ErrNotHeld = errors.New("wallet: no such credential")
)

// MinPassphrase is the fewest bytes of a passphrase.
const MinPassphrase = 8

const (
	// format is the version of the directory.
	format = 1
	// maxFile is how large a file of the wallet may be, decrypted.
	maxFile = 4 << 20

	identityName = "wallet.age"
	heldFolder   = "held"
	logFolder    = "log"
	waitFolder   = "pending"
	suffix       = ".age"
)

// workFactor is the cost of trying a passphrase: 2^workFactor rounds of scrypt, about
// a second. Tests lower it.
var workFactor = 18

// identity is what the passphrase protects.
type identity struct {
	Format   int    `json:"sanad_wallet"`
	Identity string `json:"identity"`
}

// A Wallet is an open wallet. It is for one goroutine at a time; while it is open no
// other program can open it.
type Wallet struct {
	dir  string
	lock *os.File
	key  *age.X25519Identity
}

// Create makes a wallet in dir, which must not exist or be empty, and opens it.
func Create(dir string, passphrase []byte) (*Wallet, error) {
	if len(passphrase) < MinPassphrase {
		return nil, fmt.Errorf("%w: %d bytes at least", ErrShortPassphrase, MinPassphrase)
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return nil, fmt.Errorf("%w: %s is not empty", ErrExists, dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	sealed, err := seal(passphrase, identity{format, key.String()})
	if err != nil {
		return nil, err
	}
	for _, folder := range []string{dir, filepath.Join(dir, heldFolder), filepath.Join(dir, logFolder), filepath.Join(dir, waitFolder)} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	// The identity comes last: a folder without it is no wallet.
	if err := durable.Create(filepath.Join(dir, identityName), sealed, 0o600); err != nil {
		return nil, err
	}
	if err := durable.Sync(filepath.Dir(filepath.Clean(dir))); err != nil {
		return nil, err
	}
	return open(dir, key)
}

// Open opens the wallet in dir. It takes about a second.
func Open(dir string, passphrase []byte) (*Wallet, error) {
	path := filepath.Join(dir, identityName)
	sealed, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoWallet, dir)
	} else if err != nil {
		return nil, err
	}
	var id identity
	if err := unseal(sealed, passphrase, &id); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if id.Format > format {
		return nil, fmt.Errorf("%w: format %d", ErrVersion, id.Format)
	}
	key, err := age.ParseX25519Identity(id.Identity)
	if err != nil || id.Format < 1 {
		return nil, fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	return open(dir, key)
}

func open(dir string, key *age.X25519Identity) (*Wallet, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := durable.TryLock(lock); err != nil && !errors.Is(err, durable.ErrNoLocks) {
		_ = lock.Close()
		if errors.Is(err, durable.ErrLocked) {
			err = fmt.Errorf("%w: %s", ErrInUse, dir)
		}
		return nil, err
	}
	return &Wallet{dir: dir, lock: lock, key: key}, nil
}

// Close lets others open the wallet.
func (w *Wallet) Close() error { return w.lock.Close() }

// Put keeps a credential, new or changed, durably once it returns nil.
func (w *Wallet) Put(h Held) error {
	if !validID(h.ID) {
		return fmt.Errorf("wallet: internal error: id %q", h.ID)
	}
	return w.write(heldFolder, h.ID, h)
}

// Held returns what the wallet keeps, in the order in which it came. A file that
// cannot be read is an error, with all the others beside it: one bad file makes no
// other credential unusable.
func (w *Wallet) Held() ([]Held, error) {
	all, err := readAll[Held](w, heldFolder)
	slices.SortFunc(all, func(a, b Held) int { return cmp.Or(a.Accepted.Compare(b.Accepted), cmp.Compare(a.ID, b.ID)) })
	return all, err
}

// Get returns the credential whose id this is or begins with, or ErrNotHeld.
func (w *Wallet) Get(id string) (Held, error) {
	names, err := w.names(heldFolder)
	if err != nil {
		return Held{}, err
	}
	var found []string
	for _, n := range names {
		if n == id {
			found = []string{n}
			break
		}
		if id != "" && strings.HasPrefix(n, id) {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 0:
		return Held{}, ErrNotHeld
	case 1:
		var h Held
		return h, w.read(heldFolder, found[0], &h)
	}
	return Held{}, fmt.Errorf("%w: %d begin like that", ErrNotHeld, len(found))
}

// Delete forgets a credential and its keys. What was noted of it stays in the log.
func (w *Wallet) Delete(id string) error {
	if !validID(id) {
		return ErrNotHeld
	}
	err := os.Remove(w.path(heldFolder, id))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotHeld
	} else if err != nil {
		return err
	}
	return durable.Sync(filepath.Join(w.dir, heldFolder))
}

// PutPending keeps a credential that has not come yet, durably once it returns nil.
// What is pending is not part of an export: it belongs to a conversation with an issuer
// that only one wallet can go on with.
func (w *Wallet) PutPending(p Pending) error {
	if !validID(p.ID) {
		return fmt.Errorf("wallet: internal error: id %q", p.ID)
	}
	return w.write(waitFolder, p.ID, p)
}

// Pending returns what has not come yet. It treats bad files as Held does.
func (w *Wallet) Pending() ([]Pending, error) {
	all, err := readAll[Pending](w, waitFolder)
	slices.SortFunc(all, func(a, b Pending) int { return cmp.Compare(a.ID, b.ID) })
	return all, err
}

// DeletePending forgets one, with its keys. It is no error if there is none.
func (w *Wallet) DeletePending(id string) error {
	if !validID(id) {
		return nil
	}
	if err := os.Remove(w.path(waitFolder, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.Sync(filepath.Join(w.dir, waitFolder))
}

// Note adds an entry to the log, durably once it returns nil. An entry without ID gets
// one.
func (w *Wallet) Note(e Entry) error {
	if e.ID == "" {
		id, err := newID(e.At)
		if err != nil {
			return err
		}
		e.ID = id
	}
	if !validID(e.ID) {
		return fmt.Errorf("wallet: internal error: id %q", e.ID)
	}
	return w.write(logFolder, e.ID, e)
}

// Log returns all entries, the oldest first. It treats bad files as Held does.
func (w *Wallet) Log() ([]Entry, error) {
	all, err := readAll[Entry](w, logFolder)
	slices.SortStableFunc(all, func(a, b Entry) int { return a.At.Compare(b.At) })
	return all, err
}

// An export is a wallet in one file.
type export struct {
	Format int     `json:"sanad_wallet_export"`
	Held   []Held  `json:"held"`
	Log    []Entry `json:"log"`
}

// Export returns all that is kept, keys included, encrypted with a passphrase.
func (w *Wallet) Export(passphrase []byte) ([]byte, error) {
	if len(passphrase) < MinPassphrase {
		return nil, fmt.Errorf("%w: %d bytes at least", ErrShortPassphrase, MinPassphrase)
	}
	held, err := w.Held()
	if err != nil {
		return nil, err
	}
	log, err := w.Log()
	if err != nil {
		return nil, err
	}
	return seal(passphrase, export{format, held, log})
}

// maxExport is how large an export may be.
const maxExport = 256 << 20

// Import adds what an export holds and returns how many credentials that were.
// What the wallet has already is passed over.
func (w *Wallet) Import(exported, passphrase []byte) (int, error) {
	var e export
	if err := unsealUpTo(maxExport, exported, passphrase, &e); err != nil {
		return 0, err
	}
	if e.Format != format {
		return 0, fmt.Errorf("%w: format %d", ErrVersion, e.Format)
	}
	for _, h := range e.Held {
		if !validID(h.ID) {
			return 0, fmt.Errorf("%w: a credential without a name", ErrCorrupt)
		}
		if len(h.Copies) == 0 {
			return 0, fmt.Errorf("%w: a credential without copies", ErrCorrupt)
		}
	}
	for _, entry := range e.Log {
		if !validID(entry.ID) {
			return 0, fmt.Errorf("%w: an entry without a name", ErrCorrupt)
		}
	}
	held, err := w.names(heldFolder)
	if err != nil {
		return 0, err
	}
	noted, err := w.names(logFolder)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, h := range e.Held {
		if slices.Contains(held, h.ID) {
			continue
		}
		if err := w.Put(h); err != nil {
			return n, err
		}
		n++
	}
	for _, entry := range e.Log {
		if slices.Contains(noted, entry.ID) {
			continue
		}
		if err := w.Note(entry); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (w *Wallet) path(folder, id string) string { return filepath.Join(w.dir, folder, id+suffix) }

// write encrypts v for the wallet. What could not be read again is refused with
// [BadMessage].
func (w *Wallet) write(folder, id string, v any) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(plain) > maxFile { // what others say of a credential may be long, and is longer as JSON
		return refuse(BadMessage, "%d bytes to keep, at most %d", len(plain), maxFile)
	}
	var out bytes.Buffer
	e, err := age.Encrypt(&out, w.key.Recipient())
	if err != nil {
		return err
	}
	if _, err := e.Write(plain); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	return durable.Replace(w.path(folder, id), out.Bytes(), 0o600)
}

func (w *Wallet) read(folder, id string, v any) error {
	path := w.path(folder, id)
	sealed, err := readFile(path)
	if err != nil {
		return err
	}
	plain, err := decrypt(maxFile, sealed, w.key)
	if err != nil || json.Unmarshal(plain, v) != nil {
		return fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	return nil
}

// names are the ids of the files of a folder.
func (w *Wallet) names(folder string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(w.dir, folder))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), suffix); ok && validID(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func readAll[T any](w *Wallet, folder string) ([]T, error) {
	ids, err := w.names(folder)
	if err != nil {
		return nil, err
	}
	var all []T
	var bad []error
	for _, id := range ids {
		var v T
		if err := w.read(folder, id, &v); err != nil {
			bad = append(bad, err)
			continue
		}
		all = append(all, v)
	}
	return all, errors.Join(bad...)
}

// readFile reads a file that may not be longer than any that the wallet writes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	b, err := io.ReadAll(io.LimitReader(f, 2*maxFile))
	if err == nil && len(b) == 2*maxFile {
		err = fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	return b, err
}

// seal encrypts v with a passphrase.
func seal(passphrase []byte, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	to, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, err
	}
	to.SetWorkFactor(workFactor)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func unseal(sealed, passphrase []byte, v any) error {
	return unsealUpTo(maxFile, sealed, passphrase, v)
}

func unsealUpTo(limit int64, sealed, passphrase []byte, v any) error {
	with, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return ErrPassphrase
	}
	// A file that somebody else made may ask for more work than a person waits for.
	with.SetMaxWorkFactor(20)
	plain, err := decrypt(limit, sealed, with)
	if err != nil {
		if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
			return ErrPassphrase
		}
		return ErrCorrupt
	}
	if json.Unmarshal(plain, v) != nil {
		return ErrCorrupt
	}
	return nil
}

func decrypt(limit int64, sealed []byte, with age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), with)
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(plain)) > limit {
		err = ErrCorrupt
	}
	return plain, err
}
