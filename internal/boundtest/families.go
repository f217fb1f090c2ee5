package boundtest

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
)

// units are what a whole input is filled with: what opens, separates or escapes in the
// languages that we read, and what is small as written and large as read.
var units = []string{
	"[", "{", `{"a":`, `[{"a":`, `"`, `\`, `\u0041`, "(", "<", "<a>", // JSON, PDF, XML: nesting, strings
	" ", "\n", "\r", "\t", ",", ".", "~", "&", "=", "%", "%41", "+", "-", ":", ";", "/", "?", "#", "|", "'", "@", "_",
	"A", "a", "z", "0", "9", "1 ", "a.", "a,", "a~", "a&", "a\n", "a/", "%%", "6BF", // tokens, paths, lists, base45
	"- ", "? ", "&a ", "*a ", "!a ", "- - a: ", "a: &a [*a]\n", "---\n", // YAML
	"\x00", "\xff", "\u0301", "\ufdfa", "\u202e", "é", "\u0995\u09cd", "\U0001f468\u200d", // marks, ligatures, directions
	"\x81", "\x9f", "\xa1\x00", "\xa1\x61a", "\xbf\x00", "\xc1", "\xd8\x18", "\x5f", "\x41", "\xf6", "\x5b\x00\x00\x00\x00\x7f\xff\xff\xff", // CBOR
	"\x30\x80", "\x30\x84\x00\x0f\xff\xf0", // DER
	"-----BEGIN A-----\n", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", // PEM
	"a\t\\N\n", `"a""`, "\"\n", // CSV, COPY
}

// numbered are documents of many members: head, then as many of item as fit, each with its
// number, then tail.
var numbered = []struct{ head, item, sep, tail string }{
	{`{`, `"k%d":0`, `,`, `}`},
	{`[`, `%d`, `,`, `]`},
	{`[`, `{"k%d":[]}`, `,`, `]`},
	{`["`, `%d`, `","`, `"]`},
	{``, `k%d=0`, `&`, ``},
	{``, `k%d: 0`, "\n", "\n"},
	{`a: {`, `k%d: {}`, `, `, "}\n"},
	{``, `c%d`, `,`, "\n1\n"},
	{"id,n\n", `%d,"a"`, "\n", "\n"},
	{"id;n\n", "%d;\"\na", "\n", ""},
	{`{"keys":[{"kty":"EC","kid":"`, `%d`, `"},{"kty":"EC","kid":"`, `"}]}`},
	{`{"alg":"ES256","x5c":["MIIB`, `%d`, `","MIIB`, `"]}`},
	{"a: &a0 [x,x,x,x,x,x,x,x,x]\n", "b%[1]d: &a%[1]d [*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0]", "\n", "\n"},
	{"eyJhbGciOiJFUzI1NiIsInR5cCI6ImRjK3NkLWp3dCJ9.e30.AA~", `W%08d`, "~", "~"},
}

// sizes of the inputs, in bytes: the largest, and those at which parsers draw lines of their own, since
// what is just allowed costs the most.
var sizes = []int{4 << 10, 16 << 10, 64 << 10, 256 << 10, MaxInput}

// An input has a name and a text, which is made when it is asked for and not to be changed.
type input struct {
	name string
	text func() []byte
}

// made are the inputs of each size that depend on no seed; they serve every target of a package.
var made = map[int][]input{}

func fixed(size int) []input {
	if made[size] != nil {
		return made[size]
	}
	var all []input
	for _, u := range units {
		all = append(all, input{fmt.Sprintf("%q repeated", u), func() []byte { return filled(size, "", u, "") }})
	}
	for _, n := range numbered {
		all = append(all, input{"many " + n.item, sync.OnceValue(func() []byte { return many(size, n.head, n.item, n.sep, n.tail) })})
	}
	for _, v := range values(size) {
		all = append(all,
			input{"an object with " + v.name, func() []byte { return []byte(`{"a":` + v.json + `}`) }},
			input{"a header with " + v.name, sync.OnceValue(func() []byte { return []byte(b64(`{"alg":"ES256","a":`+v.json+`}`) + ".e30.AA") })})
	}
	for _, b := range bombs {
		all = append(all, input{b.name, sync.OnceValue(func() []byte { return b.make(size) })})
	}
	made[size] = all
	return all
}

// grown are inputs that begin, end or continue as seed does.
func grown(size int, seed []byte) []input {
	if len(seed) == 0 || len(seed) > size/8 {
		return nil
	}
	var all []input
	text := string(seed)
	for _, pad := range []string{" ", "\n", "\x00", "A", "~", text} {
		all = append(all,
			input{fmt.Sprintf("a seed and %.9q", pad), func() []byte { return filled(size, text, pad, "") }},
			input{fmt.Sprintf("%.9q and a seed", pad), func() []byte { return filled(size, "", pad, text) }})
	}
	for _, sep := range []string{",", "~", ".", "&", "\n", ";", "/", ":", `"`} {
		i := strings.LastIndex(text, sep)
		if i < 0 {
			continue
		}
		item := text[strings.LastIndex(text[:i], sep)+1 : i+1]
		all = append(all, input{"the last but one item before " + sep + " of a seed repeated", func() []byte { return filled(size, text[:i+1], item, text[i+1:]) }})
	}
	for n := range 8 {
		i := n * len(text) / 8
		all = append(all, input{fmt.Sprintf("byte %d of a seed repeated", i), func() []byte { return filled(size, text[:i], text[i:i+1], text[i:]) }})
	}
	all = append(all, grownJSON(size, text)...)
	all = append(all, grownTokens(size, text)...)
	return append(all, grownCBOR(size, seed)...)
}

// grownJSON are the object of seed with one more member.
func grownJSON(size int, seed string) []input {
	rest, ok := strings.CutPrefix(strings.TrimSpace(seed), "{")
	if !ok {
		return nil
	}
	var all []input
	for _, v := range values(size) {
		all = append(all, input{"a seed with " + v.name, func() []byte { return []byte(`{"zz":` + v.json + comma(rest) + rest) }})
	}
	return all
}

// comma separates a member from the rest of an object, unless nothing else is in it.
func comma(rest string) string {
	if strings.HasPrefix(strings.TrimSpace(rest), "}") {
		return ""
	}
	return ","
}

// grownTokens are the token of seed (JWS, SD-JWT, JWE) with one more member in the header or the
// payload.
func grownTokens(size int, seed string) []input {
	parts := strings.Split(seed, ".")
	if len(parts) < 3 || len(parts) > 5 {
		return nil
	}
	var all []input
	for i := range 2 {
		object, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || len(object) < 2 || object[0] != '{' {
			continue
		}
		for _, v := range values(size) {
			all = append(all, input{fmt.Sprintf("a seed with %s in part %d", v.name, i), func() []byte {
				changed, rest := slices.Clone(parts), string(object[1:])
				changed[i] = b64(`{"zz":` + v.json + comma(rest) + rest)
				return []byte(strings.Join(changed, "."))
			}})
		}
	}
	return all
}

// grownCBOR are the message of seed with one of its strings, arrays or maps made long. What
// merely looks like the head of one is taken for one, too.
func grownCBOR(size int, seed []byte) []input {
	var all []input
	for i, c := range seed {
		major, short := c>>5, int(c&31)
		if short > 23 || major < 2 || major > 5 || major <= 3 && i+1+short > len(seed) {
			continue
		}
		if len(all) == 12 {
			break
		}
		all = append(all, input{fmt.Sprintf("a seed whose item at byte %d is long", i), func() []byte { return lengthened(size, seed, i) }})
	}
	return all
}

// lengthened is seed with more in the string, array or map that begins at i.
func lengthened(size int, seed []byte, i int) []byte {
	major, short := seed[i]>>5, int(seed[i]&31)
	head, body, rest := []byte{major<<5 | 26}, []byte(nil), seed[i+1:]
	room := size - len(seed) - 5
	count := room
	switch major {
	case 2, 3:
		body, rest = bytes.Repeat([]byte("a"), room), rest[short:]
	case 4:
		body, count = make([]byte, room), room+short
	case 5:
		body, count = cborPairs(room/6), room/6+short
	}
	head = binary.BigEndian.AppendUint32(head, uint32(count))
	return bytes.Join([][]byte{seed[:i], head, body, rest}, nil)
}

// cborPairs are n members of a map, whose names are ints.
func cborPairs(n int) []byte {
	b := make([]byte, 0, 6*n)
	for i := range uint32(n) {
		b = append(binary.BigEndian.AppendUint32(append(b, 0x1a), 1<<20+i), 0)
	}
	return b
}

// A jsonValue is a large value of JSON.
type jsonValue struct{ name, json string }

// madeValues are the values for inputs of each size.
var madeValues = map[int][]jsonValue{}

// values leave room in an input of that size for the seed they come into, and for base64url.
func values(size int) []jsonValue {
	if madeValues[size] == nil {
		n := size * 5 / 8
		madeValues[size] = []jsonValue{
			{"a long string", `"` + strings.Repeat("a", n) + `"`},
			{"a string of escapes", `"` + strings.Repeat(`\u0301`, n/6) + `"`},
			{"a long number", strings.Repeat("7", n)},
			{"deep arrays", strings.Repeat("[", n/2) + strings.Repeat("]", n/2)},
			{"deep objects", strings.Repeat(`{"a":`, n/6) + "0" + strings.Repeat("}", n/6)},
			{"many numbers", "[" + strings.Repeat("7,", n/2) + "7]"},
			{"many objects", "[" + strings.Repeat("{},", n/3) + "{}]"},
			{"many strings", `["` + strings.Repeat(`a","`, n/4) + `"]`},
			{"many members", string(many(n, "{", `"k%d":0`, ",", "}"))},
		}
	}
	return madeValues[size]
}

// filled is head, unit as often as fits into size bytes, and tail.
func filled(size int, head, unit, tail string) []byte {
	times := max(0, size-len(head)-len(tail)) / len(unit)
	return bytes.Join([][]byte{[]byte(head), bytes.Repeat([]byte(unit), times), []byte(tail)}, nil)
}

// many is head, item with its number as often as fits into size bytes, sep between, and tail.
func many(size int, head, item, sep, tail string) []byte {
	b := append(make([]byte, 0, size), head...)
	for n := 1; ; n++ {
		next := fmt.Appendf(nil, item, n)
		if len(b)+len(sep)+len(next)+len(tail) > size {
			return append(b, tail...)
		}
		if n > 1 {
			b = append(b, sep...)
		}
		b = append(b, next...)
	}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// bombs are what unpacks to a thousand times its size, in the clothes in which it may come, and
// pictures and messages that claim to be large.
var bombs = []struct {
	name string
	make func(size int) []byte
}{
	{"a bomb, zlib", zlibBomb},
	{"a bomb, gzip", func(n int) []byte {
		return append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), zlibBomb(n - 8)[2:]...)
	}},
	{"a bomb, zstd", zstdBomb},
	{"a bomb, zlib in base45", func(n int) []byte { return []byte(base45(zlibBomb(n * 5 / 8))) }},
	{"a bomb, zlib in base45 with a prefix", func(n int) []byte { return []byte("HC1:" + base45(zlibBomb(n*5/8))) }},
	{"a bomb, zlib in base64url", func(n int) []byte { return []byte(b64(string(zlibBomb(n * 5 / 8)))) }},
	{"a bomb, zlib in hexadecimal", func(n int) []byte { return []byte(hex.EncodeToString(zlibBomb(n / 2))) }},
	{"a status list that is a bomb, JSON", func(n int) []byte { return []byte(`{"bits":1,"lst":"` + b64(string(zlibBomb(n*5/8))) + `"}`) }},
	{"a status list that is a bomb, CBOR", func(n int) []byte { return counted("\xa2\x64bits\x01\x63lst\x5a", zlibBomb(n-64)) }},
	{"a PNG that is a bomb", func(n int) []byte { return png(n, 30000, 30000) }},
	{"a PNG of sixteen million points", func(n int) []byte { return png(n, 4096, 4096) }},
	{"a PNG that is one column", func(n int) []byte { return png(n, 1, 1<<24) }},
	{"a GIF of many points", func(n int) []byte {
		return append([]byte("GIF89a\xff\xff\xff\xff\x80\x00\x00\x00\x00\x00\xff\xff\xff\x2c\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\xff"), make([]byte, n-64)...)
	}},
	{"an array of ints, CBOR", func(n int) []byte { return counted("\x9a", make([]byte, n-5)) }},
	{"a map of ints, CBOR", func(n int) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{0xba}, uint32(n/6-1)), cborPairs(n/6-1)...)
	}},
	{"a message that claims to be long, CBOR", func(n int) []byte {
		return append([]byte("\xd2\x84\x43\xa1\x01\x26\xa0\x5b\x00\x00\x00\x7f\xff\xff\xff\xff"), make([]byte, n-16)...)
	}},
	{"an array that claims to be long, CBOR", func(n int) []byte {
		return append([]byte("\xd2\x9b\x00\x00\x00\x7f\xff\xff\xff\xff"), make([]byte, n-10)...)
	}},
}

// counted is head, the length of b in four bytes, and b.
func counted(head string, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte(head), uint32(len(b))), b...)
}

// zlibBomb is a zlib stream of size bytes that unpacks to about 1030 times as many and does not end.
func zlibBomb(size int) []byte {
	piece := bombPiece()
	return append([]byte("\x78\xda"), bytes.Repeat(piece, (size-2)/len(piece))...)
}

// bombPiece is a mebibyte of zeros, compressed, without an end.
var bombPiece = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write(make([]byte, 1<<20))
	_ = w.Flush()
	return b.Bytes()
})

// zstdBomb is a Zstandard frame of blocks of 128 KiB of one byte each (RFC 8878 section 3.1.1.2).
func zstdBomb(size int) []byte {
	const rle, block = 1 << 1, 128 << 10 << 3
	return append([]byte("\x28\xb5\x2f\xfd\x00\x58"), bytes.Repeat([]byte{byte(block&0xff) | rle, byte(block >> 8 & 0xff), block >> 16, 0}, size/4-2)...)
}

// png is a picture of one bit a point, black for as long as its data last (PNG, ISO/IEC 15948).
func png(size int, width, height uint32) []byte {
	chunk := func(b []byte, kind string, data []byte) []byte {
		b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
		b = append(append(b, kind...), data...)
		return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[len(b)-len(kind)-len(data):]))
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	b := chunk([]byte("\x89PNG\r\n\x1a\n"), "IHDR", append(head, 1, 0, 0, 0, 0))
	return chunk(b, "IDAT", zlibBomb(size-128))
}

// base45 is the encoding of RFC 9285, section 4.
func base45(b []byte) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
	var s strings.Builder
	for ; len(b) > 1; b = b[2:] {
		n := int(b[0])<<8 | int(b[1])
		s.Write([]byte{letters[n%45], letters[n/45%45], letters[n/2025]})
	}
	if len(b) == 1 {
		s.Write([]byte{letters[b[0]%45], letters[b[0]/45]})
	}
	return s.String()
}
