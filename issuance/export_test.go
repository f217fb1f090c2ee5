package issuance

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Seams for the tests of this package.

// NewIDs draws n ids of the moment at.
func NewIDs(rnd io.Reader, at time.Time, n int) ([]string, error) {
	ids := make([]string, n)
	return ids, newIDs(rnd, at, ids)
}

// ManifestRow is one row of a manifest as text.
func ManifestRow(record, id, list string, index uint64, file, why string) string {
	var m manifestWriter
	m.row(record, id, list, index, file, why)
	return string(m.buf)
}

// ManifestHeader is the first line of a manifest.
const ManifestHeader = manifestHeader

// ReencodeSpool reads a spool file and writes it again.
func ReencodeSpool(b []byte) ([]byte, error) {
	s, err := decodeSpool(b)
	if err != nil {
		return nil, err
	}
	return s.encode(), nil
}

// SpoolOf is the spool file of a chunk with one file.
func SpoolOf(chunk, offset int64, rows, name, data string) []byte {
	s := spool{chunk: chunk, offset: offset, rows: []byte(rows), files: []spoolFile{{name, []byte(data)}}}
	return s.encode()
}

// Waiting is how many intents and marks of singles wait for the next transaction.
func (s *Service) Waiting() int {
	s.singles.mu.Lock()
	defer s.singles.mu.Unlock()
	return len(s.singles.waiting)
}

// Salvage releases what lies in the spool of a folder, by what the credentials tell.
func Salvage(path string, released func(credential string) (bool, error)) error {
	f, err := openFolder(path)
	if err != nil {
		return err
	}
	defer f.close()
	return f.salvage(2, released)
}

// TypeMetadata returns the description of the wallet type with this vct, as every
// credential of the type states its hash (see [programme.Programme.TypeMetadata]).
// It returns [ErrNoForm] if no programme makes such credentials.
func (s *Service) TypeMetadata(ctx context.Context, vct string) ([]byte, error) {
	rows, err := s.cfg.Store.Programmes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read programmes: %w", err)
	}
	return s.typeMetadata(vct, rows)
}
