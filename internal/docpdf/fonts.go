package docpdf

import (
	"bytes"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-text/typesetting/font"
)

//go:embed fonts/*.ttf
var embedded embed.FS

// Limits on fonts of a folder.
const (
	maxFontFile = 16 << 20
	maxFonts    = 400
	// maxGlyphs is how many glyphs can be named by characters of the private use area,
	// see addressable.
	maxGlyphs = 0xF900 - private
)

// private is the code of glyph 0 in a font that was made addressable.
const private = 0xE000

// ErrFont: a font file that cannot be used.
var ErrFont = errors.New("docpdf: not a font that can be printed with")

// embeddedOrder is in which order fonts are asked for a character: what they have in
// common, such as digits, is taken from the first.
var embeddedOrder = []string{"sans", "bengali", "arabic", "devanagari", "khmer", "lao", "ethiopic"}

// A fontFile is a font that was read once and is used by all documents.
type fontFile struct {
	name string
	font *font.Font
	// ttf is the font for package fpdf: each glyph has a character of its own.
	ttf []byte
}

// builtIn are the fonts of the program.
var builtIn = sync.OnceValue(func() []*fontFile {
	var all []*fontFile
	for _, name := range embeddedOrder {
		b, err := embedded.ReadFile("fonts/" + name + ".ttf")
		if err != nil {
			panic("docpdf: internal error: " + err.Error())
		}
		f, err := readFont(name, b)
		if err != nil {
			panic("docpdf: internal error: " + err.Error())
		}
		all = append(all, f)
	}
	return all
})

// readFont reads a TrueType font. The libraries may stumble over a broken one.
func readFont(name string, b []byte) (f *fontFile, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, err = nil, fmt.Errorf("%w: %s is broken", ErrFont, name)
		}
	}()
	face, err := font.ParseTTF(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrFont, name, err)
	}
	ttf, err := addressable(b, face.Font)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrFont, name, err)
	}
	return &fontFile{name: name, font: face.Font, ttf: ttf}, nil
}

// readFolder reads the fonts of a folder, by name: files that are no TrueType fonts
// are passed over.
func readFolder(folder string) ([]*fontFile, error) {
	var names []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type().IsRegular() && strings.EqualFold(filepath.Ext(path), ".ttf") {
			names = append(names, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read fonts: %w", err)
	}
	if len(names) > maxFonts {
		return nil, fmt.Errorf("%w: %s has %d of them, at most %d; name a folder with those that are needed", ErrFont, folder, len(names), maxFonts)
	}
	slices.Sort(names)
	var all []*fontFile
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Size() > maxFontFile {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read fonts: %w", err)
		}
		if f, err := readFont(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), b); err == nil {
			all = append(all, f)
		}
	}
	return all, nil
}

// addressable returns the font with another table of characters: those of the font,
// and beside them U+E000 + n for glyph n. Package fpdf writes characters only, and
// shaping gives glyphs for which there is none. Tables that only shaping needs are left
// out.
func addressable(b []byte, f *font.Font) ([]byte, error) {
	tables, err := readTables(b)
	if err != nil {
		return nil, err
	}
	for _, needed := range []string{"head", "hhea", "hmtx", "maxp", "loca", "glyf", "OS/2", "post"} {
		if len(tables[needed]) == 0 {
			return nil, fmt.Errorf("no table %q; only TrueType outlines can be printed", needed)
		}
	}
	glyphs := int(binary.BigEndian.Uint16(tables["maxp"][4:]))
	if glyphs > maxGlyphs {
		return nil, fmt.Errorf("%d glyphs, at most %d", glyphs, maxGlyphs)
	}
	// 2: may not be embedded. The other bits are of later times: preview and print is enough.
	if restricted := binary.BigEndian.Uint16(tables["OS/2"][8:]); restricted&0x000f == 2 || restricted&0x0300 != 0 {
		return nil, errors.New("its licence does not allow embedding")
	}
	gids := map[int]int{}
	for it := f.Cmap.Iter(); it.Next(); {
		r, gid := it.Char()
		if r > 0 && r < private || r >= 0xF900 && r < 0xFFFF {
			gids[int(r)] = int(gid)
		}
	}
	for g := range glyphs {
		gids[private+g] = g
	}
	keep := map[string][]byte{"cmap": cmapTable(gids), "name": {0, 0, 0, 0, 0, 6}}
	for _, name := range []string{"head", "hhea", "hmtx", "maxp", "loca", "glyf", "OS/2", "post", "cvt ", "fpgm", "prep"} {
		if t := tables[name]; len(t) > 0 {
			keep[name] = t
		}
	}
	return writeTables(keep), nil
}

// readTables returns the tables of a TrueType font (OpenType 1.9, "Table directory").
func readTables(b []byte) (map[string][]byte, error) {
	if len(b) < 12 || binary.BigEndian.Uint32(b) != 0x00010000 && string(b[:4]) != "true" {
		return nil, errors.New("not a TrueType font")
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if len(b) < 12+16*n {
		return nil, errors.New("the table directory is cut short")
	}
	tables := make(map[string][]byte, n)
	for i := range n {
		e := b[12+16*i:]
		offset, length := uint64(binary.BigEndian.Uint32(e[8:])), uint64(binary.BigEndian.Uint32(e[12:]))
		if offset+length > uint64(len(b)) {
			return nil, errors.New("a table lies outside of the file")
		}
		tables[string(e[:4])] = b[offset : offset+length]
	}
	return tables, nil
}

// writeTables puts tables into a file. Checksums are left zero: the file is only
// read by package fpdf, which makes new ones.
func writeTables(tables map[string][]byte) []byte {
	names := make([]string, 0, len(tables))
	for name := range tables {
		names = append(names, name)
	}
	slices.Sort(names)
	out := binary.BigEndian.AppendUint32(nil, 0x00010000)
	out = binary.BigEndian.AppendUint16(out, uint16(len(names)))
	out = append(out, 0, 0, 0, 0, 0, 0)
	offset := 12 + 16*len(names)
	for _, name := range names {
		out = append(out, name...)
		out = binary.BigEndian.AppendUint32(out, 0)
		out = binary.BigEndian.AppendUint32(out, uint32(offset))
		out = binary.BigEndian.AppendUint32(out, uint32(len(tables[name])))
		offset += (len(tables[name]) + 3) &^ 3
	}
	for _, name := range names {
		out = append(out, tables[name]...)
		out = append(out, make([]byte, (4-len(tables[name])%4)%4)...)
	}
	return out
}

// cmapTable is a table of characters with one subtable of format 4, a segment for each
// run of characters whose glyphs are a run, too.
func cmapTable(gids map[int]int) []byte {
	chars := make([]int, 0, len(gids))
	for c := range gids {
		chars = append(chars, c)
	}
	slices.Sort(chars)
	type segment struct{ from, to, delta int }
	var segments []segment
	for _, c := range chars {
		d := gids[c] - c
		if n := len(segments); n > 0 && segments[n-1].to == c-1 && segments[n-1].delta == d {
			segments[n-1].to = c
			continue
		}
		segments = append(segments, segment{c, c, d})
	}
	segments = append(segments, segment{0xFFFF, 0xFFFF, 1})
	u16 := func(b []byte, v int) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }
	var ends, starts, deltas, offsets []byte
	for _, s := range segments {
		ends, starts, deltas, offsets = u16(ends, s.to), u16(starts, s.from), u16(deltas, s.delta), u16(offsets, 0)
	}
	search, selector := 2, 0
	for search*2 <= 2*len(segments) {
		search, selector = search*2, selector+1
	}
	b := []byte{0, 0, 0, 1, 0, 3, 0, 1, 0, 0, 0, 12}
	b = u16(b, 4)
	b = u16(b, 16+8*len(segments))
	b = u16(b, 0)
	b = u16(b, 2*len(segments))
	b = u16(u16(u16(b, search), selector), 2*len(segments)-search)
	b = append(b, ends...)
	b = u16(b, 0)
	return append(append(append(b, starts...), deltas...), offsets...)
}
