package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/keys"
)

// MaxRequest is the greatest length of a request to a witness, in bytes.
const MaxRequest = maxNote + 8<<10

// maxProof is the greatest number of hashes of a request to a witness.
const maxProof = 63

// Refusals of a [Witness], beside [ConflictError].
var (
	// ErrRequest: the request is malformed, or its old size is above the new one.
	ErrRequest = errors.New("audit: not a request to a witness")
	// ErrUnknownLog: the witness does not know this log.
	ErrUnknownLog = errors.New("audit: the witness does not know this log")
	// ErrUntrusted: no known key of the log has signed the checkpoint.
	ErrUntrusted = errors.New("audit: the checkpoint is signed by no known key of its log")
	// ErrInconsistent: it is not proven that the log has only grown.
	ErrInconsistent = errors.New("audit: it is not proven that the log has only grown")
)

// A ConflictError says that the request starts from another size than the one that
// the witness has co-signed last, or that the log has shown two roots of one size.
type ConflictError struct {
	// Size is the one that the witness has co-signed last.
	Size int64
	// Forked says that the checkpoint has this size and another root.
	Forked bool
}

// Error says which size it is.
func (e *ConflictError) Error() string {
	if e.Forked {
		return fmt.Sprintf("audit: the log shows two roots of the size %d", e.Size)
	}
	return fmt.Sprintf("audit: the witness has co-signed the log at the size %d", e.Size)
}

// Request is what is sent to a witness for its cosignature (C2SP tlog-witness,
// add-checkpoint): the size from which the log is proven to have grown, the proof
// ([ProveGrowth]), and the checkpoint.
func Request(old int64, proof []Hash, checkpoint []byte) []byte {
	b := fmt.Appendf(nil, "old %d\n", old)
	for _, h := range proof {
		b = fmt.Appendf(b, "%s\n", h)
	}
	return append(append(b, '\n'), checkpoint...)
}

// parseRequest reads what Request makes.
func parseRequest(b []byte) (old int64, proof []Hash, checkpoint []byte, err error) {
	if len(b) > MaxRequest {
		return 0, nil, nil, fmt.Errorf("%w: %d bytes, at most %d", ErrRequest, len(b), MaxRequest)
	}
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	number, isOld := strings.CutPrefix(lines[0], "old ")
	old, numErr := strconv.ParseInt(number, 10, 64)
	if !ok || !isOld || numErr != nil || old < 0 || strconv.FormatInt(old, 10) != number {
		return 0, nil, nil, fmt.Errorf("%w: no old size", ErrRequest)
	}
	if len(lines)-1 > maxProof {
		return 0, nil, nil, fmt.Errorf("%w: %d hashes, at most %d", ErrRequest, len(lines)-1, maxProof)
	}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil || h.String() != line {
			return 0, nil, nil, fmt.Errorf("%w: a line is no hash", ErrRequest)
		}
		proof = append(proof, h)
	}
	return old, proof, checkpoint, nil
}

// ProveGrowth proves that the log with size entries continues the one with old
// entries; for old 0 and for the same size there is nothing to prove.
func ProveGrowth(old, size int64, hashes interface {
	Hashes(places []int64) ([]Hash, error)
},
) ([]Hash, error) {
	if old < 0 || old > size {
		return nil, fmt.Errorf("audit: a log of %d entries was never one of %d", size, old)
	}
	if old == 0 || old == size {
		return nil, nil
	}
	proof, err := tlog.ProveTree(size, old, tlog.HashReaderFunc(hashes.Hashes))
	if err != nil {
		return nil, fmt.Errorf("audit: prove growth from %d to %d: %w", old, size, err)
	}
	return proof, nil
}

// WitnessConfig is what a [Witness] needs. All fields without "optional" must be set.
type WitnessConfig struct {
	// Name names the witness, as an address without scheme: "archive.example/witness".
	Name string
	// Signer is its key, of purpose witness. A key serves one witness.
	Signer keys.Signer
	// Logs are the keys of the logs that it watches, a line each as
	// [VerifierKey] makes them. Their names are the origins.
	Logs string
	// State is a folder that holds the newest checkpoint that it has co-signed of
	// each log. It must never be put back from a backup: a witness that has
	// forgotten what it saw can be shown another past.
	State string
	// Now is the clock; optional, time.Now if nil.
	Now func() time.Time
}

// A Witness co-signs checkpoints of logs that it has seen to grow, and nothing
// else: no fork, no way back, no log that it does not know. What it has co-signed
// it knows durably before the signature leaves it. Its methods may be called at once
// from several goroutines; one process uses a folder.
type Witness struct {
	cfg  WitnessConfig
	key  *cosigner
	logs map[string]*witnessed
	lock *os.File
}

// witnessed is one log.
type witnessed struct {
	mu   sync.Mutex // from looking what was co-signed last until the next is kept
	keys []note.Verifier
}

// NewWitness returns a Witness, which must be closed.
func NewWitness(c WitnessConfig) (*Witness, error) {
	switch {
	case c.Signer == nil:
		return nil, errors.New("audit: WitnessConfig.Signer is not set")
	case c.State == "":
		return nil, errors.New("audit: WitnessConfig.State is not set")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	vkey, err := WitnessKey(c.Name, c.Signer.Key().Public)
	if err != nil {
		return nil, err
	}
	w := &Witness{cfg: c, logs: map[string]*witnessed{}}
	if w.key, err = parseWitness(vkey); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	known, err := parseKeys(c.Logs)
	if err != nil {
		return nil, fmt.Errorf("audit: keys of logs: %w", err)
	}
	for _, v := range known {
		if w.logs[v.Name()] == nil {
			w.logs[v.Name()] = &witnessed{}
		}
		w.logs[v.Name()].keys = append(w.logs[v.Name()].keys, v)
	}
	if w.lock, err = os.Open(c.State); err != nil {
		return nil, fmt.Errorf("audit: state of the witness: %w", err)
	}
	if err := durable.TryLock(w.lock); err != nil {
		return nil, errors.Join(fmt.Errorf("audit: state of the witness: %w", err), w.lock.Close())
	}
	return w, nil
}

// Close gives the folder free.
func (w *Witness) Close() error { return w.lock.Close() }

// Key is the public key of the witness (see [WitnessKey]).
func (w *Witness) Key() string { return w.key.text() }

// AddCheckpoint answers a [Request] with the witness's signature line. Refusals are
// [ErrRequest], [ErrUnknownLog], [ErrUntrusted], [ErrInconsistent] and
// [*ConflictError]; other errors mean that it could not decide.
func (w *Witness) AddCheckpoint(request []byte) ([]byte, error) {
	old, proof, signed, err := parseRequest(request)
	if err != nil {
		return nil, err
	}
	return w.cosign(signed, func(c Checkpoint, last Head) error {
		switch {
		case old > c.Size:
			return fmt.Errorf("%w: old size %d, size %d", ErrRequest, old, c.Size)
		case old != last.Size:
			return &ConflictError{Size: last.Size}
		case old == c.Size && c.Root != last.Root:
			return &ConflictError{Size: last.Size, Forked: true}
		case old == 0 || old == c.Size:
			if len(proof) > 0 {
				return fmt.Errorf("%w: there is nothing to prove", ErrInconsistent)
			}
			return nil
		}
		if err := tlog.CheckTree(proof, c.Size, c.Root, last.Size, last.Root); err != nil {
			return fmt.Errorf("%w: %v", ErrInconsistent, err)
		}
		return nil
	})
}

// CosignDir co-signs the checkpoint of an exported log after having verified all
// its entries, for a witness without a network. The signature line is added to the
// checkpoint file. Errors are those of AddCheckpoint and [VerifyDir].
func (w *Witness) CosignDir(dir string) (Checkpoint, error) {
	path := filepath.Join(dir, CheckpointFile)
	signed, err := readSmall(path)
	if err != nil {
		return Checkpoint{}, err
	}
	var c Checkpoint
	line, err := w.cosign(signed, func(next Checkpoint, last Head) error {
		c = next
		if next.Size < last.Size {
			return &ConflictError{Size: last.Size}
		}
		return w.verifyDir(dir, next, last)
	})
	if err != nil {
		return Checkpoint{}, err
	}
	if err := durable.Replace(path, AddCosignatures(withoutSigner(signed, line), line), 0o644); err != nil {
		return Checkpoint{}, fmt.Errorf("audit: %w", err)
	}
	return c, nil
}

// withoutSigner takes away what the signer of this line has signed before: a checkpoint that
// repeats a signature is refused.
func withoutSigner(signed, line []byte) []byte {
	end := bytes.LastIndexByte(line, ' ') + 1
	signer := line[:min(len(line), end+5)] // the name, and of base64 what the key's hash alone decides
	var kept []byte
	for l := range bytes.Lines(signed) {
		if !bytes.HasPrefix(l, signer) {
			kept = append(kept, l...)
		}
	}
	return kept
}

// verifyDir checks the entries of an export, also against what was co-signed last.
func (w *Witness) verifyDir(dir string, c Checkpoint, last Head) error {
	f, err := os.Open(filepath.Join(dir, EntriesFile))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer f.Close() // only read
	v := verifier{report: Report{Origin: c.Origin, Head: c.Head, Kinds: map[Kind]int64{}}}
	if last.Size > 0 {
		v.marks = []mark{{last, 1}}
	}
	return v.read(newEntryReader(f))
}

// cosign checks the signature of a checkpoint, asks whether it continues what was
// co-signed last, keeps it and signs.
func (w *Witness) cosign(signed []byte, continues func(c Checkpoint, last Head) error) ([]byte, error) {
	origin, _, _ := bytes.Cut(signed, []byte("\n"))
	log := w.logs[string(origin)]
	if log == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknownLog, clip(string(origin)))
	}
	c, err := openNote(signed, log.keys, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if empty := (&tree{}).head(); c.Size == 0 && c.Root != empty.Root {
		return nil, fmt.Errorf("%w: an empty log with another root", ErrInconsistent)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	last, err := w.last(c.Origin)
	if err != nil {
		return nil, err
	}
	if err := continues(c, last); err != nil {
		return nil, err
	}
	now := w.cfg.Now()
	if err := keys.CheckSigner(w.cfg.Signer, keys.Witness, now); err != nil {
		return nil, fmt.Errorf("audit: cosign: %w", err)
	}
	text := signed[:bytes.LastIndex(signed, []byte("\n\n"))+1]
	line, err := cosign(w.key, text, now, w.cfg.Signer)
	if err != nil {
		return nil, fmt.Errorf("audit: cosign: %w", err)
	}
	if err := durable.Replace(w.path(c.Origin), append(append(bytes.Clone(text), '\n'), line...), 0o600); err != nil {
		return nil, fmt.Errorf("audit: keep what is co-signed: %w", err)
	}
	return line, nil
}

// path is the file of a log.
func (w *Witness) path(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(w.cfg.State, hex.EncodeToString(sum[:16])+".txt")
}

// last is what the witness has co-signed last of a log; an empty log if nothing.
// It trusts its file only if that has its own signature.
func (w *Witness) last(origin string) (Head, error) {
	b, err := readSmall(w.path(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return (&tree{}).head(), nil
	}
	if err != nil {
		return Head{}, err
	}
	n, err := note.Open(b, note.VerifierList(w.key))
	if err != nil {
		return Head{}, fmt.Errorf("audit: state of the witness for %s: %v", clip(origin), err)
	}
	var c Checkpoint
	if err := c.parseText(n.Text); err != nil || c.Origin != origin {
		return Head{}, fmt.Errorf("audit: state of the witness for %s: it is not of this log", clip(origin))
	}
	return c.Head, nil
}
