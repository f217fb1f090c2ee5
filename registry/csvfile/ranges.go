package csvfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/sanad-id/sanad/registry"
)

// The mark of a range is
//
//	"sanad-csv-range" 1      name and version
//	16 bytes                 of the SHA-256 of how the file is written
//	uvarint, five times      number of the first record; how many there are;
//	                         where the first begins, in bytes; the number of
//	                         that line; how many bytes there are
//	16 bytes                 of the SHA-256 of these bytes
//	16 bytes                 of the SHA-256 of all before
//
// It names the bytes and not the file, so that another machine may read a copy
// of the file, and so that what was appended since does not matter.
const rangeName = "sanad-csv-range\x01"

// A place is where the records of a range stand in a file.
type place struct {
	first  int64 // number of the first record, from 1
	n      int
	off    int64 // where it begins
	line   int   // the number of that line
	length int64
	sum    [markCheck]byte
}

// writing names how a file is written: what decides, beside the bytes, which
// records there are.
func (r *reading) writing() [markCheck]byte {
	l := r.layout
	b := fmt.Appendf(nil, "%c %t %s %s ", l.Delimiter, l.Quoted, l.LineEnding, l.Encoding)
	b = appendText(b, r.source.options.IDColumn)
	for _, c := range l.Columns {
		b = appendText(b, c)
	}
	sum := sha256.Sum256(b)
	return [markCheck]byte(sum[:markCheck])
}

func (p *place) encode(writing [markCheck]byte) registry.Mark {
	b := append([]byte(rangeName), writing[:]...)
	for _, v := range []uint64{uint64(p.first), uint64(p.n), uint64(p.off), uint64(p.line), uint64(p.length)} {
		b = binary.AppendUvarint(b, v)
	}
	b = append(b, p.sum[:]...)
	check := sha256.Sum256(b)
	return append(b, check[:markCheck]...)
}

// decodePlace returns what a range's mark says, or ErrMark.
func decodePlace(m registry.Mark, writing [markCheck]byte) (place, error) {
	if len(m) < len(rangeName)+3*markCheck || !bytes.HasPrefix(m, []byte(rangeName)) {
		return place{}, registry.ErrMark
	}
	b, check := m[:len(m)-markCheck], m[len(m)-markCheck:]
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:markCheck], check) {
		return place{}, fmt.Errorf("%w: it is damaged", registry.ErrMark)
	}
	b = b[len(rangeName):]
	if !bytes.Equal(b[:markCheck], writing[:]) {
		return place{}, fmt.Errorf("%w: it is of a file with other columns, or one that is written in another way", registry.ErrMark)
	}
	b = b[markCheck:]
	var v [5]uint64
	for i := range v {
		var ok bool
		if v[i], b, ok = uvarint(b); !ok || v[i] > math.MaxInt32 && (i == 1 || i == 3) || v[i] > math.MaxInt64/4 {
			return place{}, registry.ErrMark
		}
	}
	p := place{first: int64(v[0]), n: int(v[1]), off: int64(v[2]), line: int(v[3]), length: int64(v[4])}
	if len(b) != markCheck || p.first < 1 || p.n < 1 || p.line < 1 || p.length < 1 {
		return place{}, registry.ErrMark
	}
	copy(p.sum[:], b)
	return p, nil
}

// Ranges implements [registry.Ranger]. It reads the file once and decodes no
// value.
func (s *Source) Ranges(ctx context.Context, n int) iter.Seq2[registry.Range, error] {
	return func(yield func(registry.Range, error) bool) {
		if n < 1 || n > math.MaxInt32 {
			yield(registry.Range{}, fmt.Errorf("csvfile: ranges of %d records", n))
			return
		}
		r, err := s.read(wholeChunk)
		if err != nil {
			yield(registry.Range{}, err)
			return
		}
		defer r.file.Close()
		writing, first := r.writing(), int64(1)
		for {
			p, err := r.cut(ctx, n)
			if err == nil && p.n > 0 {
				p.sum, err = r.sum(ctx, p)
			}
			if err != nil {
				yield(registry.Range{}, fmt.Errorf("read %s: %w", s.path, err))
				return
			}
			if p.n == 0 {
				break
			}
			p.first = first
			first += int64(p.n)
			if !yield(registry.Range{First: p.first, N: p.n, Start: p.encode(writing)}, nil) {
				return
			}
		}
		if err := r.finish(); err != nil {
			yield(registry.Range{}, err)
		}
	}
}

// cut passes the next n records, or as many as there are.
func (r *reading) cut(ctx context.Context, n int) (place, error) {
	p := place{off: r.off, line: r.line}
	end := r.off
	for p.n < n {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		raw, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil && !isRow(err) {
			return p, err
		}
		if err == nil && raw.blank() {
			continue
		}
		p.n++
		end = r.position()
	}
	p.length = end - p.off
	return p, ctx.Err()
}

// position is where the pass has come to. (An odd byte at the end of UTF-16
// counts as a whole character.)
func (r *reading) position() int64 { return min(r.off, r.size) }

// sum returns the digest of the bytes of a range.
func (r *reading) sum(ctx context.Context, p place) (sum [markCheck]byte, err error) {
	section, hash := io.NewSectionReader(r.file, p.off, p.length), sha256.New()
	n, err := io.Copy(hash, readerFunc(func(b []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return section.Read(b)
	}))
	if err == nil && n != p.length {
		err = fmt.Errorf("%w: the file is shorter than it was", registry.ErrMark)
	}
	copy(sum[:], hash.Sum(nil))
	return sum, err
}

// Range implements [registry.Ranger]. It reads the bytes of the range twice:
// first to see that they are those it was cut from.
func (s *Source) Range(ctx context.Context, g registry.Range) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		r, err := s.read(wholeChunk)
		if err != nil {
			yield(registry.Record{}, err)
			return
		}
		defer r.file.Close()
		p, err := r.place(ctx, g)
		if err != nil {
			yield(registry.Record{}, fmt.Errorf("read %s: %w", s.path, err))
			return
		}
		r.at(p.off, p.line)
		for i := range p.n {
			if err := ctx.Err(); err != nil {
				yield(registry.Record{}, fmt.Errorf("read %s: %w", s.path, err))
				return
			}
			record, err := r.record()
			// Where a record ends that has a stray quote is decided by what
			// follows it, which may have changed.
			if at, end := r.position(), p.off+p.length; err == io.EOF || at > end || i == p.n-1 && at != end {
				err = fmt.Errorf("%w: its records do not end where they did", registry.ErrMark)
			}
			if err = r.judge(err); err != nil && !isRow(err) {
				yield(registry.Record{}, err)
				return
			}
			if !yield(record, err) {
				return
			}
		}
		if err := r.finish(); err != nil {
			yield(registry.Record{}, err)
		}
	}
}

// place returns where a range is, if the file is there as it was.
func (r *reading) place(ctx context.Context, g registry.Range) (place, error) {
	if err := ctx.Err(); err != nil {
		return place{}, err
	}
	p, err := decodePlace(g.Start, r.writing())
	if err != nil {
		return place{}, err
	}
	if p.first != g.First || p.n != g.N {
		return place{}, fmt.Errorf("%w: it is of another range", registry.ErrMark)
	}
	sum, err := r.sum(ctx, p)
	if err == nil && sum != p.sum {
		err = fmt.Errorf("%w: the file has changed there", registry.ErrMark)
	}
	return p, err
}

// appendText appends a text with its length before it.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
