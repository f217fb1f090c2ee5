package audit

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/sanad-id/sanad/internal/durable"
)

// The files of an exported log.
const (
	EntriesFile    = "entries.jsonl"  // an entry a line
	CheckpointFile = "checkpoint.txt" // the newest checkpoint
	KeyFile        = "key.txt"        // the keys of the log, a line each
)

// An Exported is a log on its way out of the issuer.
type Exported struct {
	// Entries yields the entries from number 0 on; as many as the checkpoint
	// says are taken.
	Entries iter.Seq2[[]byte, error]
	// Checkpoint is the newest checkpoint.
	Checkpoint []byte
	// Keys are the keys of the log, a line each (see [VerifierKey]).
	Keys string
}

// Export writes a log as three files into the directory dir, which it makes if
// there is none. Each file is complete or as it was before, and durable when
// Export returns. It does not check the entries: [VerifyDir] does.
func Export(ctx context.Context, dir string, x Exported) error {
	c, err := OpenCheckpoint(x.Checkpoint, x.Keys)
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	err = durable.ReplaceFunc(filepath.Join(dir, EntriesFile), 0o644, func(w io.Writer) error { return writeEntries(ctx, w, c.Size, x.Entries) })
	if err != nil {
		return fmt.Errorf("audit: export: %w", err)
	}
	if !strings.HasSuffix(x.Keys, "\n") {
		x.Keys += "\n"
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{CheckpointFile, x.Checkpoint}, {KeyFile, []byte(x.Keys)}} {
		err := durable.Replace(filepath.Join(dir, f.name), f.text, 0o644)
		if err != nil {
			return fmt.Errorf("audit: export: %w", err)
		}
	}
	return nil
}

// writeEntries writes the first n entries, a line each.
func writeEntries(ctx context.Context, w io.Writer, n int64, entries iter.Seq2[[]byte, error]) error {
	written := int64(0)
	if n > 0 {
		for entry, err := range entries {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			if _, err := w.Write(entry); err != nil {
				return err
			}
			if _, err := w.Write([]byte{'\n'}); err != nil {
				return err
			}
			if written++; written == n {
				break
			}
		}
	}
	if written < n {
		return fmt.Errorf("the log has %d entries, its checkpoint says %d", written, n)
	}
	return nil
}

// VerifyDir is [Verify] for the files of an export. If vkeys is empty the keys
// are read from the export itself.
func VerifyDir(dir, vkeys string, older ...[]byte) (Report, error) {
	checkpoint, err := readSmall(filepath.Join(dir, CheckpointFile))
	if err != nil {
		return Report{}, err
	}
	if vkeys == "" {
		b, err := readSmall(filepath.Join(dir, KeyFile))
		if err != nil {
			return Report{}, err
		}
		if vkeys = string(b); !strings.HasSuffix(vkeys, "\n") {
			return Report{}, &ChangedError{Fault: BadKey, Detail: "the last line of " + KeyFile + " breaks off"}
		}
	}
	f, err := os.Open(filepath.Join(dir, EntriesFile))
	if err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	defer f.Close() // only read
	return Verify(bufio.NewReaderSize(f, 256<<10), checkpoint, vkeys, older...)
}

// readSmall reads a file that must be small.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer f.Close() // only read
	b, err := io.ReadAll(io.LimitReader(f, maxNote+1))
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if len(b) > maxNote {
		return nil, fmt.Errorf("audit: %s is longer than %d bytes: %w", filepath.Base(path), maxNote, fs.ErrInvalid)
	}
	return b, nil
}
