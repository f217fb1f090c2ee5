package status

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"sync"
)

// readers keeps zlib readers, whose windows would otherwise be most of the cost
// of opening a small list.
var readers sync.Pool

// inflate decompresses one zlib stream (RFC 1950) of at most maxBytes. It stops
// as soon as one byte more comes out, so that a bomb costs no more than the
// longest list that is allowed. Bytes after the stream are refused.
func inflate(b []byte, maxBytes int) ([]byte, error) {
	src := bytes.NewReader(b)
	r, ok := readers.Get().(io.ReadCloser)
	var err error
	if ok {
		err = r.(zlib.Resetter).Reset(src, nil)
	} else {
		r, err = zlib.NewReader(src)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: not zlib data", ErrMalformed)
	}
	defer readers.Put(r)
	// Lists mostly shrink by a factor of four to a hundred. ReadFrom grows the
	// buffer as data arrive, never on the word of the input.
	var out bytes.Buffer
	out.Grow(min(maxBytes+bytes.MinRead, 8*len(b)+bytes.MinRead))
	n, err := out.ReadFrom(io.LimitReader(r, int64(maxBytes)+1))
	if err != nil {
		return nil, fmt.Errorf("%w: zlib data are damaged", ErrMalformed)
	}
	if n > int64(maxBytes) {
		return nil, fmt.Errorf("%w: list inflates to more than %d bytes", ErrTooLarge, maxBytes)
	}
	if src.Len() != 0 {
		return nil, fmt.Errorf("%w: %d bytes after the zlib data", ErrMalformed, src.Len())
	}
	return out.Bytes(), nil
}
