// Package backup writes and reads backups: one file with the settings, the keystore
// (encrypted as it is), the certificates of its keys, the pictures of its programmes, what
// the console keeps of people and their work, and every table of the database, from which
// the issuer can be set up anew on either database.
//
// The file is an age file (age-encryption.org/v1) around a zstd stream (RFC 8878)
// around parts, one after the other, and at the end a [Manifest]: the sizes and
// digests of all parts, signed by a key of the issuer's of purpose backup. age keeps
// the content secret, the signature says whose it is: recipients are public, so
// anyone could encrypt a backup of his own making.
//
// Start with [Write] and [NewReader]. Both work in constant memory, whatever the
// size. Nothing that a [Reader] gives out counts before [Reader.Verify] said so.
//
// Left to others: where parts come from and go to (package store and the command),
// what opens the keystore (never in a backup), and what must happen before a restored
// issuer works again (issuer restore confirm).
package backup

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/desk"
)

// Names of the parts that are no tables, and what stands before the name of one.
const (
	SettingsPart = "settings"
	KeystorePart = "keystore"
	LayoutPart   = "layout"
	TablePrefix  = "table/"
	// ChainsPart has the files of the folder of certificates (a JSON array of [File]),
	// DeskPart what the tables of the console look like (a [DeskLayout]), followed by those
	// tables. Backups of the first format have neither.
	ChainsPart = "chains"
	// LogosPart has the pictures of programmes, as ChainsPart has certificates. A backup
	// without any has no such part.
	LogosPart  = "logos"
	DeskPart   = "desk"
	DeskPrefix = "desk/"
)

const (
	// Formats are numbered: 1 has no certificates and nothing of the console.
	firstMagic = "sanad backup 1\n"
	magic      = "sanad backup 2\n"

	signed    = "sanad backup manifest 1\n"
	chunkSize = 256 << 10

	maxChunk    = 1 << 20
	maxManifest = 1 << 20
	maxParts    = 256
	maxName     = 64
	// maxWindow is how far back a zstd stream may refer.
	maxWindow = 8 << 20
)

// Errors of a [Reader]. Each means that the backup is not to be used.
var (
	// ErrNotABackup: another file, or one that breaks off or was damaged.
	ErrNotABackup = errors.New("backup: not a complete backup")
	// ErrKey: it was not encrypted for whoever opens it.
	ErrKey = errors.New("backup: it cannot be decrypted with this")
	// ErrSignature: it was not made by the issuer whose keys are known.
	ErrSignature = errors.New("backup: it is not signed by a backup key of this issuer")
)

// A Part is one part of a backup.
type Part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Rows is the number of rows of a table.
	Rows int64 `json:"rows,omitempty"`
}

// A Manifest says what is in a backup. Its signature covers it as it stands.
type Manifest struct {
	// Program is the version of the program that wrote it.
	Program string `json:"program"`
	// Instance names the issuer and its keystore, as the database does.
	Instance string `json:"instance"`
	Schema   int64  `json:"schema"`
	Epoch    int64  `json:"epoch"`
	LogNo    int64  `json:"log_no"`
	// AuditSize and AuditRoot are the head of the audit log, Checkpoint the newest
	// one that was signed (empty if none was).
	AuditSize  int64  `json:"audit_size"`
	AuditRoot  string `json:"audit_root"`
	Checkpoint string `json:"checkpoint"`
	// Taken is the moment that it shows, Finished when it was complete.
	Taken    time.Time `json:"taken"`
	Finished time.Time `json:"finished"`
	// Key is the public key that signed it.
	Key   keys.PublicKey `json:"key"`
	Parts []Part         `json:"parts"`
}

// A Layout says what the tables look like.
type Layout struct {
	Schema int64         `json:"schema"`
	Tables []store.Table `json:"tables"`
}

// A File is a file of a folder.
type File struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

// A DeskLayout says what the tables of the console look like.
type DeskLayout struct {
	Schema int          `json:"schema"`
	Tables []desk.Table `json:"tables"`
}

// A Source is what goes into a part: Write writes it and returns how many rows it
// has, 0 if it is no table.
type Source struct {
	Name  string
	Write func(w io.Writer) (rows int64, err error)
}

// Write writes a backup: the parts in their order, then the manifest with their
// sizes, signed at the time that now tells. What is written is of no use before
// Write returns nil.
func Write(w io.Writer, to []age.Recipient, s keys.Signer, now func() time.Time, m Manifest, parts []Source) (Manifest, error) {
	if err := keys.CheckSigner(s, keys.Backup, now()); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	if len(to) == 0 {
		return m, errors.New("backup: nobody to encrypt it for")
	}
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return m, fmt.Errorf("backup: encrypt: %v", err)
	}
	z, err := zstd.NewWriter(sealed, zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(maxWindow/2))
	if err != nil {
		return m, fmt.Errorf("backup: compress: %v", err)
	}
	defer z.Close() // again, for its memory
	out := &writer{w: z}
	out.write([]byte(magic))
	for _, p := range parts {
		if err := out.part(p, &m); err != nil {
			return m, fmt.Errorf("backup: %w", err)
		}
	}
	m.Key, m.Finished = s.Key().Public, now().UTC().Truncate(time.Second)
	text, err := json.Marshal(m)
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	sig, err := sign(s, text)
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	out.write([]byte{0})
	out.chunk(text)
	out.chunk(sig)
	if out.err == nil {
		out.err = z.Close()
	}
	if out.err == nil {
		out.err = sealed.Close()
	}
	if out.err != nil {
		return m, fmt.Errorf("backup: %w", out.err)
	}
	return m, nil
}

// sign signs a manifest and checks the signature.
func sign(s keys.Signer, text []byte) ([]byte, error) {
	digest, h := toSign(s.Key().Public, text)
	sig, err := s.Sign(nil, digest, h)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if !verify(s.Key().Public, text, sig) {
		return nil, errors.New("the signature just made does not verify")
	}
	return sig, nil
}

// toSign is what a signer gets for a manifest.
func toSign(k keys.PublicKey, text []byte) ([]byte, crypto.Hash) {
	message := append([]byte(signed), text...)
	h := k.Algorithm().Hash()
	if h == 0 {
		return message, h
	}
	sum := h.New()
	sum.Write(message)
	return sum.Sum(nil), h
}

// A writer writes the inner form. The first error stays.
type writer struct {
	w   io.Writer
	err error
}

func (w *writer) write(b []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(b)
	}
}

func (w *writer) chunk(b []byte) {
	w.write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
	w.write(b)
}

// part writes one part and notes it in the manifest.
func (w *writer) part(p Source, m *Manifest) error {
	w.write([]byte{byte(len(p.Name))})
	w.write([]byte(p.Name))
	c := &chunker{to: w, sum: sha256.New()}
	b := bufio.NewWriterSize(c, chunkSize)
	rows, err := p.Write(b)
	if err == nil {
		err = b.Flush()
	}
	if err != nil {
		return fmt.Errorf("part %s: %w", p.Name, err)
	}
	w.chunk(nil)
	m.Parts = append(m.Parts, Part{Name: p.Name, Size: c.size, SHA256: hex.EncodeToString(c.sum.Sum(nil)), Rows: rows})
	return w.err
}

// A chunker writes what it is given as chunks.
type chunker struct {
	to   *writer
	sum  hash.Hash
	size int64
}

func (c *chunker) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		k := min(len(b), maxChunk)
		c.to.chunk(b[:k])
		c.sum.Write(b[:k])
		c.size += int64(k)
		b = b[k:]
	}
	return n, c.to.err
}

// A Reader reads a backup, part by part.
type Reader struct {
	r        *bufio.Reader
	z        *zstd.Decoder
	format   int
	parts    []Part // as they came
	sum      hash.Hash
	left     int  // bytes of the chunk
	open     bool // a part is not at its end
	manifest *Manifest
	text     []byte
	sig      []byte
}

// NewReader returns a Reader of the backup in r, which must be closed.
func NewReader(r io.Reader, with ...age.Identity) (*Reader, error) {
	plain, err := age.Decrypt(r, with...)
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
		return nil, ErrKey
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrNotABackup, err)
	}
	z, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("backup: %v", err)
	}
	in := &Reader{r: bufio.NewReaderSize(z, chunkSize), z: z}
	head := make([]byte, len(magic))
	_, err = io.ReadFull(in.r, head)
	switch {
	case err == nil && string(head) == firstMagic:
		in.format = 1
	case err == nil && string(head) == magic:
		in.format = 2
	default:
		z.Close()
		return nil, fmt.Errorf("%w: it does not begin like one that this program knows", ErrNotABackup)
	}
	return in, nil
}

// Close gives the memory back.
func (r *Reader) Close() { r.z.Close() }

func (r *Reader) broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotABackup, fmt.Sprintf(format, args...))
}

// Next goes to the next part and returns its name. What is left of the part before
// is read over. Behind the last part it reads the manifest, compares every size and
// digest, and returns io.EOF.
func (r *Reader) Next() (string, error) {
	if r.manifest != nil {
		return "", io.EOF
	}
	if r.open {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return "", err
		}
	}
	n, err := r.r.ReadByte()
	if err != nil {
		return "", r.broken("it breaks off")
	}
	if n == 0 {
		if err := r.end(); err != nil {
			return "", err
		}
		return "", io.EOF
	}
	name := make([]byte, n)
	if _, err := io.ReadFull(r.r, name); err != nil {
		return "", r.broken("it breaks off")
	}
	if n > maxName || strings.Trim(string(name), "abcdefghijklmnopqrstuvwxyz_/") != "" || len(r.parts) == maxParts {
		return "", r.broken("a part of no name that is known")
	}
	r.parts = append(r.parts, Part{Name: string(name)})
	r.sum, r.left, r.open = sha256.New(), 0, true
	return string(name), nil
}

// Read reads of the part that Next went to, and io.EOF at its end.
func (r *Reader) Read(b []byte) (int, error) {
	if !r.open {
		return 0, io.EOF
	}
	p := &r.parts[len(r.parts)-1]
	if r.left == 0 {
		n, err := r.length(maxChunk)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			r.open, p.SHA256 = false, hex.EncodeToString(r.sum.Sum(nil))
			return 0, io.EOF
		}
		r.left = n
	}
	n, err := r.r.Read(b[:min(len(b), r.left)])
	if err != nil {
		return n, r.broken("part %s breaks off", p.Name)
	}
	r.sum.Write(b[:n])
	r.left -= n
	p.Size += int64(n)
	return n, nil
}

// length reads the length of a chunk.
func (r *Reader) length(most int) (int, error) {
	var b [4]byte
	if _, err := io.ReadFull(r.r, b[:]); err != nil {
		return 0, r.broken("it breaks off")
	}
	n := binary.BigEndian.Uint32(b[:])
	if int64(n) > int64(most) {
		return 0, r.broken("a chunk of %d bytes", n)
	}
	return int(n), nil
}

func (r *Reader) bytes(most int) ([]byte, error) {
	n, err := r.length(most)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.r, b); err != nil {
		return nil, r.broken("it breaks off")
	}
	return b, nil
}

// end reads the manifest and compares it with the parts.
func (r *Reader) end() error {
	var err error
	if r.text, err = r.bytes(maxManifest); err != nil {
		return err
	}
	if r.sig, err = r.bytes(1 << 10); err != nil {
		return err
	}
	if _, err := r.r.ReadByte(); err != io.EOF {
		return r.broken("something stands behind its end, or the end was damaged")
	}
	m, err := parseManifest(r.text)
	if err != nil {
		return err
	}
	if len(m.Parts) != len(r.parts) {
		return r.broken("%d parts, the manifest names %d", len(r.parts), len(m.Parts))
	}
	for i, p := range r.parts {
		if want := m.Parts[i]; p.Name != want.Name || p.Size != want.Size || p.SHA256 != want.SHA256 {
			return r.broken("part %s is not the one in the manifest", p.Name)
		}
	}
	r.manifest = &m
	return nil
}

// parseManifest reads a manifest in the exact form that Write gives it.
func parseManifest(text []byte) (Manifest, error) {
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return m, fmt.Errorf("%w: manifest: %v", ErrNotABackup, err)
	}
	if again, err := json.Marshal(m); err != nil || !bytes.Equal(again, text) {
		return m, fmt.Errorf("%w: the manifest is not in the form that it is written in", ErrNotABackup)
	}
	return m, nil
}

// Manifest returns what the manifest says, once Next has returned io.EOF. By itself
// it proves nothing; see [Reader.Verify].
func (r *Reader) Manifest() (Manifest, bool) {
	if r.manifest == nil {
		return Manifest{}, false
	}
	return *r.manifest, true
}

// Verify says whether the manifest was signed by one of these keys of purpose
// backup, once Next has returned io.EOF, and returns that key. It returns
// [ErrSignature] if not.
func (r *Reader) Verify(known []keys.Key) (keys.Key, error) {
	if r.manifest == nil {
		return keys.Key{}, errors.New("backup: internal error: Verify before the end")
	}
	for _, k := range known {
		if k.Purpose != keys.Backup || !k.Public.Equal(r.manifest.Key) {
			continue
		}
		if k.State == keys.Compromised && !r.manifest.Taken.Before(k.CompromisedSince) {
			return k, fmt.Errorf("%w: key %s was known to others by then", ErrSignature, k.ID())
		}
		if verify(k.Public, r.text, r.sig) {
			return k, nil
		}
	}
	return keys.Key{}, ErrSignature
}

// SignedBy says whether this public key signed the manifest, for who has nothing
// else to compare it with.
func (r *Reader) SignedBy(k keys.PublicKey) bool {
	return r.manifest != nil && verify(k, r.text, r.sig)
}
