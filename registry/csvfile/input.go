package csvfile

import (
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// An input delivers the bytes of a file such that delimiters, quotes and line
// ends are the ASCII ones: as they are, or turned into UTF-8 from UTF-16.
type input interface {
	// seek goes to a position in the file.
	seek(off int64)
	// read is that of io.Reader.
	read(p []byte) (int, error)
	// width returns how many bytes of the file became these.
	width(b []byte) int64
}

func newInput(f io.ReaderAt, encoding string) input {
	switch encoding {
	case utf16LE:
		return &utf16Input{file: f, order: binary.LittleEndian}
	case utf16BE:
		return &utf16Input{file: f, order: binary.BigEndian}
	}
	return &plainInput{file: f}
}

type plainInput struct {
	file io.ReaderAt
	off  int64
}

func (in *plainInput) seek(off int64)       { in.off = off }
func (in *plainInput) width(b []byte) int64 { return int64(len(b)) }

func (in *plainInput) read(p []byte) (int, error) {
	n, err := in.file.ReadAt(p, in.off)
	in.off += int64(n)
	return n, err
}

// A utf16Input turns UTF-16 into UTF-8. Halves of surrogate pairs and an odd
// byte at the end have no UTF-8; they become bytes that are not valid UTF-8, so
// that the record they are in is refused, and it alone.
type utf16Input struct {
	file  io.ReaderAt
	order binary.ByteOrder
	off   int64
	raw   []byte
}

func (in *utf16Input) seek(off int64) { in.off = off }

// width counts two bytes for each character, four for those beyond U+FFFF,
// which alone take four bytes in UTF-8.
func (in *utf16Input) width(b []byte) int64 {
	n := int64(0)
	for _, c := range b {
		if c&0xC0 != 0x80 {
			n += 2
		}
		if c >= 0xF0 {
			n += 2
		}
	}
	return n
}

func (in *utf16Input) read(p []byte) (int, error) {
	size := len(p) / 3 &^ 1 // three bytes for two at most
	if len(in.raw) < size {
		in.raw = make([]byte, size)
	}
	n, err := in.file.ReadAt(in.raw[:size], in.off)
	raw := in.raw[:n]
	out := p[:0]
	for len(raw) >= 2 {
		u := rune(in.order.Uint16(raw))
		size := 2
		if utf16.IsSurrogate(u) {
			if len(raw) < 4 && err == nil {
				break // its other half comes with the next read
			}
			pair := rune(0xFFFD)
			if len(raw) >= 4 {
				pair = utf16.DecodeRune(u, rune(in.order.Uint16(raw[2:])))
			}
			if pair == 0xFFFD {
				out = append(out, 0xE0|byte(u>>12), 0x80|byte(u>>6)&0x3F, 0x80|byte(u)&0x3F)
				raw = raw[2:]
				continue
			}
			u, size = pair, 4
		}
		out = utf8.AppendRune(out, u)
		raw = raw[size:]
	}
	if err != nil && len(raw) == 1 {
		out, raw = append(out, 0xFF), nil
	}
	in.off += int64(n - len(raw))
	return len(out), err
}
