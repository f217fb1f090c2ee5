package trust

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
)

// A delta leads from the payload of one bundle to that of a later one, and
// carries the later one's signatures. It is
//
//	zlib( map: 0 "sanad-trust-delta"  1 version before  2 hash before
//	           3 version after  4 hash after
//	           5 the later COSE_Sign with an empty payload  6 edits by payload key )
//
// and is not signed itself: payloads are deterministic CBOR, so the bytes that the
// edits lead to are the very bytes that were signed. They are compared with the
// hash and then opened like any other bundle, signatures and all. A delta can
// therefore do nothing that a bundle could not.
//
// Only values that differ are in a delta. An array is given as what to keep of
// the old one, what is new, and for status lists what changed in them
// ([status.Delta]).

const kindDelta = "sanad-trust-delta"

type wireDelta struct {
	Kind     string              `cbor:"0,keyasint"`
	From     uint64              `cbor:"1,keyasint"`
	FromHash []byte              `cbor:"2,keyasint"`
	To       uint64              `cbor:"3,keyasint"`
	ToHash   []byte              `cbor:"4,keyasint"`
	Envelope []byte              `cbor:"5,keyasint"`
	Edits    map[uint64]wireEdit `cbor:"6,keyasint"`
}

// A wireEdit gives the new value under one key of the payload: Value as it is, or
// an array by Ops; neither if the key is gone.
type wireEdit struct {
	Value []byte   `cbor:"1,keyasint,omitempty"`
	Ops   []wireOp `cbor:"2,keyasint,omitempty"`
}

// A wireOp gives the next elements of an array: Count old ones from From on, or
// the new element Value, or the old status list From changed by Status.
type wireOp struct {
	From   uint64 `cbor:"1,keyasint,omitempty"`
	Count  uint64 `cbor:"2,keyasint,omitempty"`
	Value  []byte `cbor:"3,keyasint,omitempty"`
	Status []byte `cbor:"4,keyasint,omitempty"`
}

// arrays are the payload keys whose values are given by their elements.
var arrays = []uint64{keyRoots, keyIssuers, keyTypes, keyStatus, keyMessages, keyVerifiers}

// isDelta tells a delta, which is a map, from a bundle, which is a tagged array.
func isDelta(raw []byte) bool { return len(raw) > 0 && raw[0]>>5 == byte(cbor.Map) }

// payloadOf returns the payload of an inflated bundle.
func payloadOf(raw []byte) ([]byte, error) {
	m, err := cose.ParseSign(raw)
	if err != nil {
		return nil, explain("bundle", err)
	}
	return m.Payload, nil
}

// withPayload returns a COSE_Sign message with another payload and all else as it
// was.
func withPayload(raw, payload []byte) ([]byte, error) {
	var tag cbor.RawTag
	if err := unmarshal(raw, &tag); err != nil {
		return nil, err
	}
	var parts []cbor.RawMessage
	if err := unmarshal(tag.Content, &parts); err != nil {
		return nil, err
	}
	if len(parts) != 4 {
		return nil, fmt.Errorf("%w: a message of %d parts", ErrMalformed, len(parts))
	}
	encoded, err := cbor.Marshal(payload)
	if err != nil {
		return nil, err
	}
	parts[2] = encoded
	return cbor.Marshal(cbor.Tag{Number: tag.Number, Content: parts})
}

// MakeDelta returns the file that leads verifiers from one bundle to a later one
// of the same root. It returns an error for a later bundle that no verifier would
// accept after the older one, such as one in which a revoked entry comes back.
func MakeDelta(older, newer []byte) ([]byte, error) {
	file, err := makeDelta(older, newer)
	if err != nil {
		return nil, fmt.Errorf("make delta: %w", err)
	}
	return file, nil
}

func makeDelta(older, newer []byte) ([]byte, error) {
	// What a verifier with the older one would say of the newer one, we say first.
	st, before, err := accept(State{}, older, func(*Bundle) bool { return true })
	if err != nil {
		return nil, err
	}
	_, after, err := accept(st, newer, nil)
	if err != nil {
		return nil, err
	}
	if after.Version == before.Version {
		return nil, fmt.Errorf("%w: both are version %d", ErrMixed, after.Version)
	}
	oldPayload, err := st.payload(before.hash)
	if err != nil {
		return nil, err
	}
	raw, err := inflate(newer)
	if err != nil {
		return nil, err
	}
	newPayload, err := payloadOf(raw)
	if err != nil {
		return nil, err
	}
	d := wireDelta{Kind: kindDelta, From: before.Version, FromHash: before.hash[:], To: after.Version, ToHash: after.hash[:]}
	if d.Envelope, err = withPayload(raw, nil); err != nil {
		return nil, err
	}
	if d.Edits, err = edits(oldPayload, newPayload); err != nil {
		return nil, err
	}
	encoded, err := cbor.Marshal(d)
	if err != nil {
		return nil, err
	}
	// Try it before anybody else does.
	got, err := applyEdits(oldPayload, d.Edits)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(got, newPayload) {
		return nil, errors.New("trust: the newer bundle is not in deterministic form")
	}
	return deflate(encoded)
}

// edits compares two payloads.
func edits(oldPayload, newPayload []byte) (map[uint64]wireEdit, error) {
	var before, after map[uint64]cbor.RawMessage
	if err := unmarshal(oldPayload, &before); err != nil {
		return nil, err
	}
	if err := unmarshal(newPayload, &after); err != nil {
		return nil, err
	}
	out := map[uint64]wireEdit{}
	for key, value := range after {
		if bytes.Equal(before[key], value) {
			continue
		}
		edit := wireEdit{Value: value}
		if old, ok := before[key]; ok && slices.Contains(arrays, key) {
			ops, err := arrayOps(old, value, key == keyStatus)
			if err != nil {
				return nil, err
			}
			if len(ops) > 0 { // an array that is empty now is given by its value
				edit = wireEdit{Ops: ops}
			}
		}
		out[key] = edit
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			out[key] = wireEdit{}
		}
	}
	return out, nil
}

// arrayOps compares two arrays.
func arrayOps(before, after cbor.RawMessage, lists bool) ([]wireOp, error) {
	var old, elements []cbor.RawMessage
	if err := unmarshal(before, &old); err != nil {
		return nil, err
	}
	if err := unmarshal(after, &elements); err != nil {
		return nil, err
	}
	place := make(map[string]uint64, len(old))
	for i, e := range old {
		place[string(e)] = uint64(i)
	}
	byURI := map[string]uint64{}
	if lists {
		for i, e := range old {
			if s, err := status.ParseSnapshot(e); err == nil {
				byURI[s.URI] = uint64(i)
			}
		}
	}
	var ops []wireOp
	for _, e := range elements {
		if at, ok := place[string(e)]; ok {
			if n := len(ops); n > 0 && ops[n-1].Count > 0 && ops[n-1].From+ops[n-1].Count == at {
				ops[n-1].Count++
			} else {
				ops = append(ops, wireOp{From: at, Count: 1})
			}
			continue
		}
		op := wireOp{Value: e}
		if lists {
			changed, err := listOp(old, byURI, e)
			if err != nil {
				return nil, err
			}
			if changed != nil {
				op = *changed
			}
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// listOp gives a status list by what changed in the old one with its URI. It
// returns nil for a list that is new or has another shape.
func listOp(old []cbor.RawMessage, byURI map[string]uint64, element []byte) (*wireOp, error) {
	newer, err := status.ParseSnapshot(element)
	if err != nil {
		return nil, err
	}
	at, ok := byURI[newer.URI]
	if !ok {
		return nil, nil
	}
	older, err := status.ParseSnapshot(old[at])
	if err != nil {
		return nil, err
	}
	d, err := status.Diff(older, newer)
	if errors.Is(err, status.ErrOtherBase) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("status list %.80q: %w", newer.URI, err)
	}
	b, err := d.MarshalCBOR()
	if err != nil {
		return nil, err
	}
	return &wireOp{From: at, Status: b}, nil
}

// applyDelta turns an inflated delta into the bundle that it leads to: the file
// and the same inflated. Its signatures are still to be verified.
func (st State) applyDelta(raw []byte) (file, bundle []byte, err error) {
	var d wireDelta
	if err := unmarshal(raw, &d); err != nil {
		return nil, nil, fmt.Errorf("delta: %w", err)
	}
	if d.Kind != kindDelta || len(d.FromHash) != 32 || len(d.ToHash) != 32 {
		return nil, nil, fmt.Errorf("%w: neither a bundle nor a delta", ErrMalformed)
	}
	applied := d.To == st.HighWater && bytes.Equal(d.ToHash, st.BundleHash[:])
	switch {
	case !st.Trusted():
		return nil, nil, fmt.Errorf("%w: a delta needs a bundle to start from", ErrGap)
	case applied && st.Bundle == nil:
		return nil, nil, fmt.Errorf("%w: that was lost", ErrGap)
	case applied:
		bundle, err = inflate(st.Bundle)
		return st.Bundle, bundle, err
	case d.To <= st.HighWater:
		return nil, nil, fmt.Errorf("%w: delta to version %d, version %d is in use", ErrRollback, d.To, st.HighWater)
	case d.From != st.HighWater:
		return nil, nil, fmt.Errorf("%w: it starts from version %d, version %d is in use", ErrGap, d.From, st.HighWater)
	}
	old, err := st.payload([32]byte(d.FromHash))
	if err != nil {
		return nil, nil, err
	}
	payload, err := applyEdits(old, d.Edits)
	if err != nil {
		return nil, nil, err
	}
	if sum := sha256.Sum256(payload); !bytes.Equal(sum[:], d.ToHash) {
		return nil, nil, fmt.Errorf("%w: the delta leads to another bundle than it says", ErrMalformed)
	}
	if bundle, err = withPayload(d.Envelope, payload); err != nil {
		return nil, nil, err
	}
	file, err = deflate(bundle)
	return file, bundle, err
}

// applyEdits is the opposite of edits.
func applyEdits(payload []byte, edits map[uint64]wireEdit) ([]byte, error) {
	var values map[uint64]cbor.RawMessage
	if err := unmarshal(payload, &values); err != nil {
		return nil, err
	}
	for key, edit := range edits {
		switch {
		case edit.Value != nil:
			values[key] = edit.Value
		case edit.Ops != nil:
			array, err := applyOps(values[key], edit.Ops)
			if err != nil {
				return nil, err
			}
			values[key] = array
		default:
			delete(values, key)
		}
	}
	out, err := cbor.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return out, nil
}

func applyOps(before cbor.RawMessage, ops []wireOp) (cbor.RawMessage, error) {
	var old []cbor.RawMessage
	if err := unmarshal(before, &old); err != nil {
		return nil, err
	}
	var elements []cbor.RawMessage
	size := 0
	add := func(e cbor.RawMessage) error {
		// Keeping one large element many times must not cost more than a bundle may.
		if size += len(e); size > MaxInflated {
			return fmt.Errorf("%w: the delta leads to more than %d bytes", ErrTooLarge, MaxInflated)
		}
		elements = append(elements, e)
		return nil
	}
	for _, op := range ops {
		n := uint64(len(old))
		var err error
		switch {
		case op.Value != nil:
			err = add(op.Value)
		case op.From >= n || op.Count > n-op.From:
			err = fmt.Errorf("%w: the delta keeps what is not there", ErrMalformed)
		case op.Status != nil:
			var changed []byte
			if changed, err = applyStatus(old[op.From], op.Status); err == nil {
				err = add(changed)
			}
		default:
			for _, e := range old[op.From : op.From+op.Count] {
				if err = add(e); err != nil {
					break
				}
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return cbor.Marshal(elements)
}

func applyStatus(old, change []byte) ([]byte, error) {
	s, err := status.ParseSnapshot(old)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	d, err := status.ParseDelta(change)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if s, err = s.Apply(d); err != nil {
		return nil, fmt.Errorf("status list %.80q: %w", d.URI, err)
	}
	return s.MarshalCBOR()
}
