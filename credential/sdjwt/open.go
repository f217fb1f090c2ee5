package sdjwt

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
)

// A token is an SD-JWT taken apart and not yet verified.
type token struct {
	message     *jose.Message
	payload     strict.Value
	hash        crypto.Hash
	disclosures []disclosure
	// shown is everything up to and including the last ~: what the holder signs.
	shown string
	// binding is the key-binding JWT, "" if there is none.
	binding string
	// gaps are the arrays with a slot that stays shut; set by a walk that records
	// paths.
	gaps []Path
}

// A disclosure is one claim or array element that the holder shows.
type disclosure struct {
	text    string // as it came: digests are over this
	name    string
	element bool // of an array, and so without a name
	value   strict.Value

	used bool
	path Path // set by a walk that records paths
}

// hashes are the values of _sd_alg that we take (IANA Named Information Hash
// Algorithm registry), by their exact names.
var hashes = map[string]crypto.Hash{"sha-256": crypto.SHA256, "sha-384": crypto.SHA384, "sha-512": crypto.SHA512}

// split takes an SD-JWT apart (RFC 9901 section 4): the JWT, disclosures each
// followed by ~, and perhaps a key-binding JWT.
func split(s string) (jwt string, disclosures []string, shown, binding string, err error) {
	if len(s) > MaxSize {
		return "", nil, "", "", credential.Reject(credential.TooLarge, "%d bytes, at most %d", len(s), MaxSize)
	}
	if strings.HasPrefix(s, "{") {
		return "", nil, "", "", credential.Reject(credential.UnsupportedFormat, "a JSON serialisation; only the compact form is read")
	}
	last := strings.LastIndexByte(s, '~')
	if last < 0 {
		return "", nil, "", "", malformed("no ~: a plain token and not an SD-JWT")
	}
	if n := strings.Count(s, "~") - 1; n > MaxDisclosures {
		return "", nil, "", "", credential.Reject(credential.TooLarge, "%d disclosures, at most %d", n, MaxDisclosures)
	}
	shown, binding = s[:last+1], s[last+1:]
	jwt, rest, _ := strings.Cut(shown, "~")
	if rest != "" {
		disclosures = strings.Split(rest[:len(rest)-1], "~")
	}
	return jwt, disclosures, shown, binding, nil
}

// read takes an SD-JWT apart and decodes everything in it but the key-binding JWT.
func read(s string, parse func(jwt string) (*jose.Message, error)) (*token, error) {
	jwt, disclosures, shown, binding, err := split(s)
	if err != nil {
		return nil, err
	}
	t := &token{shown: shown, binding: binding}
	if t.message, err = parse(jwt); err != nil {
		return nil, reject(err)
	}
	texts := limits.Reader(1 + len(disclosures))
	if t.payload, err = texts.Next(string(t.message.Payload)); err != nil {
		return nil, reject(err)
	}
	if t.payload.Kind() != strict.Object {
		return nil, malformed("the payload is no object")
	}
	if t.hash, err = hashOf(t.payload); err != nil {
		return nil, err
	}
	t.disclosures, err = readDisclosures(disclosures, texts)
	return t, err
}

// readDisclosures decodes disclosures into one piece of memory and reads them.
func readDisclosures(encoded []string, texts *strict.Reader) ([]disclosure, error) {
	size := 0
	for _, text := range encoded {
		size += len(text)
	}
	b := make([]byte, 0, size*3/4)
	ends := make([]int, len(encoded))
	var err error
	for i, text := range encoded {
		if b, err = strict.AppendDecoded(b, text); err != nil {
			return nil, malformed("a disclosure: %v", err)
		}
		ends[i] = len(b)
	}
	all, from := string(b), 0
	disclosures := make([]disclosure, len(encoded))
	for i, text := range encoded {
		if disclosures[i], err = readDisclosure(text, all[from:ends[i]], texts); err != nil {
			return nil, err
		}
		from = ends[i]
	}
	return disclosures, nil
}

// hashOf is the hash of the digests (RFC 9901 section 4.1.1).
func hashOf(payload strict.Value) (crypto.Hash, error) {
	v := payload.Get(nameAlgorithm)
	if v.Kind() == strict.None {
		return crypto.SHA256, nil
	}
	name, _ := v.Text()
	h, ok := hashes[name]
	if !ok {
		return 0, malformed("_sd_alg is none that we take")
	}
	return h, nil
}

// readDisclosure reads one disclosure (RFC 9901 section 7.1 step 3), whose text
// decodes to decoded: salt, name and value of a claim, or salt and value of an array
// element.
func readDisclosure(text, decoded string, texts *strict.Reader) (disclosure, error) {
	v, err := texts.Next(decoded)
	if err != nil {
		return disclosure{}, reject(err)
	}
	n := v.Len()
	if v.Kind() != strict.Array || n != 2 && n != 3 {
		return disclosure{}, malformed("a disclosure that is no array of two or three")
	}
	if _, ok := v.At(0).Text(); !ok {
		return disclosure{}, malformed("a disclosure whose salt is no text")
	}
	d := disclosure{text: text, element: n == 2, value: v.At(n - 1)}
	if !d.element {
		name, ok := v.At(1).Text()
		if !ok || name == nameDigests || name == nameSlot || name == nameAlgorithm {
			return disclosure{}, malformed("a disclosure whose name no claim can have")
		}
		d.name = name
	}
	return d, nil
}

// digest is the digest of a text, such as a disclosure, as it stands in a payload.
func digest(h crypto.Hash, text string) string {
	return string(appendDigest(make([]byte, 0, maxDigest), h, []byte(text)))
}

// maxDigest is the most letters of a digest: SHA-512 needs 86.
const maxDigest = 88

// appendDigest appends the digest of a text to dst.
func appendDigest(dst []byte, h crypto.Hash, text []byte) []byte {
	switch h {
	case crypto.SHA256:
		sum := sha256.Sum256(text)
		return strict.AppendBase64URL(dst, sum[:])
	case crypto.SHA384:
		sum := sha512.Sum384(text)
		return strict.AppendBase64URL(dst, sum[:])
	default:
		sum := sha512.Sum512(text)
		return strict.AppendBase64URL(dst, sum[:])
	}
}

// An opener puts disclosures in the place of their digests.
type opener struct {
	// digests are those of the disclosures and every one of payload and disclosures that
	// stands for nothing.
	digests map[string]*disclosure
	paths   bool   // record where each disclosure belongs
	edits   int    // how much was taken out or put in so far
	gaps    []Path // arrays with a slot that stays shut, if paths are recorded
}

// nothing is what a digest stands for that was seen, and has no disclosure.
var nothing = &disclosure{}

// open returns the payload with what was disclosed in its place and nothing left
// of digests (RFC 9901 section 7.1 steps 3 to 5).
func (t *token) open(paths bool) (strict.Value, error) {
	o := opener{digests: make(map[string]*disclosure, len(t.disclosures)), paths: paths}
	all := t.digests()
	for i, size := 0, len(all)/max(1, len(t.disclosures)); i < len(t.disclosures); i++ {
		d, key := &t.disclosures[i], all[i*size:(i+1)*size]
		if o.digests[key] != nil {
			return strict.Value{}, malformed("a disclosure twice")
		}
		o.digests[key] = d
	}
	v, err := o.object(t.payload, nil, maxDepth)
	if err != nil {
		return strict.Value{}, err
	}
	for i := range t.disclosures {
		if !t.disclosures[i].used {
			return strict.Value{}, malformed("a disclosure that no digest refers to")
		}
	}
	t.gaps = o.gaps
	return v, nil
}

// digests are those of the disclosures, one after the other.
func (t *token) digests() string {
	var longest int
	for i := range t.disclosures {
		longest = max(longest, len(t.disclosures[i].text))
	}
	all, text := make([]byte, 0, len(t.disclosures)*maxDigest), make([]byte, 0, longest)
	for i := range t.disclosures {
		text = append(text[:0], t.disclosures[i].text...)
		all = appendDigest(all, t.hash, text)
	}
	return string(all)
}

// value opens a value that stands at path.
func (o *opener) value(v strict.Value, path Path, depth int) (strict.Value, error) {
	if depth == 0 {
		return strict.Value{}, credential.Reject(credential.TooLarge, "claims nested deeper than %d", maxDepth)
	}
	switch v.Kind() {
	case strict.Object:
		return o.object(v, path, depth)
	case strict.Array:
		return o.array(v, path, depth)
	}
	return v, nil
}

// object opens the members of an object and those that its digests stand for. What
// holds nothing of digests comes back as it is.
func (o *opener) object(v strict.Value, path Path, depth int) (strict.Value, error) {
	out := members{from: v}
	top := len(path) == 0
	for i := range v.Len() {
		switch name := v.Name(i); {
		case name == nameDigests || name == nameAlgorithm && top:
			o.edits++
			out.drop(i)
		case name == nameAlgorithm || name == nameSlot:
			return strict.Value{}, malformed("a member %s where none may be", name)
		default:
			before := o.edits
			opened, err := o.value(v.At(i), o.member(path, name), depth-1)
			if err != nil {
				return strict.Value{}, err
			}
			hidden := o.edits != before
			if top && hidden && slices.Contains(plainClaims, name) {
				return strict.Value{}, malformed("claim %s with hidden parts", name)
			}
			out.keep(i, opened, hidden)
		}
	}
	digests := v.Get(nameDigests)
	if digests.Kind() != strict.None && digests.Kind() != strict.Array {
		return strict.Value{}, malformed("_sd is no array")
	}
	for i := range digests.Len() {
		d, err := o.find(digests.At(i))
		if err != nil {
			return strict.Value{}, err
		}
		if d == nil {
			continue // undisclosed, or a decoy
		}
		switch {
		case d.element:
			return strict.Value{}, malformed("an array element disclosed as a claim")
		case slices.Contains(out.names, d.name):
			return strict.Value{}, malformed("a claim that is there twice")
		case top && slices.Contains(plainClaims, d.name):
			return strict.Value{}, malformed("claim %s is a disclosure", d.name)
		}
		opened, err := o.disclosed(d, o.member(path, d.name), depth-1)
		if err != nil {
			return strict.Value{}, err
		}
		out.names, out.values = append(out.names, d.name), append(out.values, opened)
	}
	return out.value(), nil
}

// members are those of an object that may change: until one does they are those of
// the object itself.
type members struct {
	from    strict.Value
	changed bool
	names   []string
	values  []strict.Value
}

// change copies the members before i, which were kept as they are.
func (m *members) change(i int) {
	if m.changed {
		return
	}
	m.changed = true
	n := m.from.Len() + m.from.Get(nameDigests).Len()
	m.names, m.values = make([]string, 0, n), make([]strict.Value, 0, n)
	for j := range i {
		m.names, m.values = append(m.names, m.from.Name(j)), append(m.values, m.from.At(j))
	}
}

// drop leaves member i out.
func (m *members) drop(i int) { m.change(i) }

// keep takes member i over with this value, which is another one if changed.
func (m *members) keep(i int, v strict.Value, changed bool) {
	if changed {
		m.change(i)
	}
	if m.changed {
		m.names, m.values = append(m.names, m.from.Name(i)), append(m.values, v)
	}
}

func (m *members) value() strict.Value {
	if !m.changed {
		return m.from
	}
	return strict.NewObject(m.names, m.values)
}

// array opens the elements of an array and those that its slots stand for. What
// holds nothing of digests comes back as it is.
func (o *opener) array(v strict.Value, path Path, depth int) (strict.Value, error) {
	var values []strict.Value // once something has changed
	n := 0                    // how many elements there are so far
	for i := range v.Len() {
		before := o.edits
		opened, ok, err := o.slot(v.At(i), o.element(path, n), depth)
		if err != nil {
			return strict.Value{}, err
		}
		if values == nil && o.edits != before {
			values = make([]strict.Value, i, v.Len())
			for j := range i {
				values[j] = v.At(j)
			}
		}
		if ok {
			n++
			if values != nil {
				values = append(values, opened)
			}
		}
	}
	if values == nil {
		return v, nil
	}
	if o.paths && n < v.Len() {
		o.gaps = append(o.gaps, path)
	}
	return strict.NewArray(values), nil
}

// slot opens one element of an array; ok is false if it is not shown.
func (o *opener) slot(e strict.Value, path Path, depth int) (opened strict.Value, ok bool, err error) {
	slot := e.Get(nameSlot)
	if slot.Kind() == strict.None {
		opened, err = o.value(e, path, depth-1)
		return opened, true, err
	}
	if e.Len() != 1 {
		return strict.Value{}, false, malformed("an array slot with other members")
	}
	d, err := o.find(slot)
	if err != nil || d == nil {
		return strict.Value{}, false, err
	}
	if !d.element {
		return strict.Value{}, false, malformed("a claim disclosed as an array element")
	}
	opened, err = o.disclosed(d, path, depth-1)
	return opened, true, err
}

// find returns the disclosure for a digest, nil if there is none.
func (o *opener) find(v strict.Value) (*disclosure, error) {
	key, ok := v.Text()
	if !ok {
		return nil, malformed("a digest that is no text")
	}
	d := o.digests[key]
	if d == nothing || d != nil && d.used {
		return nil, malformed("a digest twice")
	}
	if d == nil {
		o.digests[key] = nothing
	}
	o.edits++
	return d, nil
}

func (o *opener) disclosed(d *disclosure, path Path, depth int) (strict.Value, error) {
	d.used = true
	if o.paths {
		d.path = path
	}
	return o.value(d.value, path, depth)
}

// member is path with a step to the member of an object. Without recording only its
// length matters.
func (o *opener) member(path Path, name string) Path {
	if !o.paths {
		return deeper
	}
	return append(slices.Clip(path), name)
}

// element is path with a step to an element of an array.
func (o *opener) element(path Path, i int) Path {
	if !o.paths {
		return deeper
	}
	return append(slices.Clip(path), i)
}

// deeper stands for every path but the empty one.
var deeper = Path{nil}
