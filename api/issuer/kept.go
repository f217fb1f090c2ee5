package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/programme"
)

// kept is something that is made anew from time to time and serves on when that fails.
type kept[T any] struct {
	mu      sync.Mutex
	known   *T
	looked  time.Time
	looking bool
}

// get returns what is known, made anew if it is not fresh: of several who ask at once one
// makes it. With an error what is returned is what was known before, nil if nothing was.
func (k *kept[T]) get(now func() time.Time, renew func(was *T) (*T, error)) (*T, error) {
	k.mu.Lock()
	known, fresh := k.known, k.known != nil && (k.looking || now().Sub(k.looked) < catalogueFresh)
	if !fresh {
		k.looking = true
	}
	k.mu.Unlock()
	if fresh {
		return known, nil
	}
	made, err := renew(known)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looking, k.looked = false, now()
	if err == nil {
		k.known = made
	}
	return k.known, err
}

// A keptFile is the content of [Config.Kept]. Nobody but this program reads it: what
// follows from programmes is made of them when it is asked for, and signed then.
type keptFile struct {
	Read       time.Time `json:"read_at"`
	Programmes []string  `json:"programmes"` // their files
}

const (
	// keptFor is after how long programmes that have not changed are kept once more, so
	// that the date beside them stays near.
	keptFor = time.Hour
	// maxKept is the most bytes of the file.
	maxKept = 64 << 20
)

// keep writes programmes into the file, unless they are there already.
func (e *Endpoints) keep(all []*programme.Programme, now time.Time) error {
	if e.cfg.Kept == "" {
		return nil
	}
	f := keptFile{Read: now}
	for _, p := range all {
		f.Programmes = append(f.Programmes, string(p.Text()))
	}
	e.keeping.Lock()
	defer e.keeping.Unlock()
	if age := now.Sub(e.written.Read); slices.Equal(f.Programmes, e.written.Programmes) && age >= 0 && age < keptFor {
		return nil
	}
	e.written = f // or tried: a folder that cannot be written is not tried with each look
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return durable.Replace(e.cfg.Kept, b, 0o600)
}

// keptProgrammes reads what was kept, and when that was read.
func (e *Endpoints) keptProgrammes() ([]*programme.Programme, time.Time, error) {
	if e.cfg.Kept == "" {
		return nil, time.Time{}, errors.New("none are kept")
	}
	in, err := os.Open(e.cfg.Kept)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("kept programmes: %w", err)
	}
	defer in.Close() // only read
	b, err := io.ReadAll(io.LimitReader(in, maxKept))
	var f keptFile
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("kept programmes: %w", err)
	}
	var all []*programme.Programme
	for _, text := range f.Programmes {
		p, err := programme.Parse([]byte(text))
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("kept programmes: %w", err)
		}
		all = append(all, p)
	}
	return all, f.Read, nil
}
