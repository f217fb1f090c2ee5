package sqltable

import "github.com/sanad-id/sanad/registry"

// RecodeMark decodes a mark and encodes it again.
func RecodeMark(m registry.Mark, idColumn string) (registry.Mark, error) {
	f := following(idColumn, "")
	r, err := readMark(m, f)
	if err != nil {
		return nil, err
	}
	w := newMarkWriter(f)
	for e, ok := r.next(); ok; e, ok = r.next() {
		w.add(e)
	}
	return w.mark(), nil
}

// RecodeRange decodes the mark of a range and encodes it again.
func RecodeRange(m registry.Mark, idColumn string) (registry.Mark, error) {
	f := following(idColumn, "")
	r, err := decodeRun(m, f)
	if err != nil {
		return nil, err
	}
	return r.encode(f), nil
}

// TimestampText is what becomes of a timestamp.
var TimestampText = timestampText

// ConnString is what becomes of a URL.
var ConnString = connString
