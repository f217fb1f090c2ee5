package qr

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/adler32"
	"sync"
)

// largeMessage is the size from which codes made for the message may win against
// fixed ones.
const largeMessage = 512

// A packer writes one message as a zlib stream.
type packer struct {
	deflater
	large  bytes.Buffer
	writer *zlib.Writer
}

var packers = sync.Pool{New: func() any { return new(packer) }}

// pack returns the shortest zlib stream (RFC 1950) of message that it finds. It
// is valid until the next call.
func (p *packer) pack(message []byte) []byte {
	p.out = append(p.out[:0], 0x78, 0x01) // deflate, window of 32 kB, no dictionary
	p.deflate(message)
	if stored := 2 + 5 + len(message); len(p.out) >= stored {
		p.store(message)
	}
	p.out = binary.BigEndian.AppendUint32(p.out, adler32.Checksum(message))
	if len(message) > largeMessage {
		if b := p.packLarge(message); len(b) < len(p.out) {
			return b
		}
	}
	return p.out
}

// store replaces the block by one that is not compressed (RFC 1951 section
// 3.2.4). A block takes up to 65535 bytes, four times what a message may have.
func (p *packer) store(message []byte) {
	p.out = append(p.out[:2], 1) // last block, stored
	p.out = binary.LittleEndian.AppendUint16(p.out, uint16(len(message)))
	p.out = binary.LittleEndian.AppendUint16(p.out, ^uint16(len(message)))
	p.out = append(p.out, message...)
}

// packLarge leaves it to the standard library.
func (p *packer) packLarge(message []byte) []byte {
	p.large.Reset()
	if p.writer == nil {
		w, err := zlib.NewWriterLevel(&p.large, zlib.BestCompression)
		if err != nil {
			panic("qr: internal error: " + err.Error())
		}
		p.writer = w
	} else {
		p.writer.Reset(&p.large)
	}
	if _, err := p.writer.Write(message); err != nil {
		panic("qr: internal error: " + err.Error()) // a buffer takes everything
	}
	if err := p.writer.Close(); err != nil {
		panic("qr: internal error: " + err.Error())
	}
	return p.large.Bytes()
}
