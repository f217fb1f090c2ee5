package programme

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The policies for a portrait.
const (
	PhotoNone       = "none"        // no picture
	PhotoInline     = "inline"      // in the main code
	PhotoSecondCode = "second_code" // in a code of its own
)

// Photo says whether and how a portrait is carried.
type Photo struct {
	// Policy is PhotoNone, PhotoInline or PhotoSecondCode.
	Policy string
	// Form is the name of the form that carries it.
	Form string
	// Types are the types of picture that may be carried: webp, avif, jpeg.
	Types []string
	// MaxBytes, MaxWidth and MaxHeight are its largest size.
	MaxBytes, MaxWidth, MaxHeight int
	// Required says that a record without a usable picture is not issued.
	Required bool

	from expression
}

func (p Photo) carriedBy(form string) bool { return p.Policy != PhotoNone && p.Form == form }

// A picture is a portrait that may be carried.
type picture struct {
	data      []byte
	mediaType string
	sub       int64 // sub-format of Claim 169: 1 JPEG, 3 AVIF, 4 WebP
}

// maxPhotoText is the longest data URI that is looked at.
const maxPhotoText = 1 << 20

// readPhoto reads photo: of a file.
func (f *file) readPhoto(n *yaml.Node, path string) {
	p := &f.p.Photo
	*p = Photo{Types: []string{"webp", "avif", "jpeg"}, MaxBytes: 600, MaxWidth: 64, MaxHeight: 80, Required: true}
	lost := OnLossError
	f.object(n, path, []field{
		{"policy", true, func(n *yaml.Node, path string) {
			p.Policy = f.choice(n, path, PhotoNone, PhotoInline, PhotoSecondCode)
		}},
		{"from", false, func(n *yaml.Node, path string) { p.from = f.expression(n, path, 1) }},
		{"form", false, func(n *yaml.Node, path string) { p.Form = f.text(n, path) }},
		{"types", false, func(n *yaml.Node, path string) { p.Types = f.pictureTypes(n, path) }},
		{"max_bytes", false, func(n *yaml.Node, path string) { p.MaxBytes = int(f.integer(n, path, 100, 900)) }},
		{"max_width", false, func(n *yaml.Node, path string) { p.MaxWidth = int(f.integer(n, path, 16, 256)) }},
		{"max_height", false, func(n *yaml.Node, path string) { p.MaxHeight = int(f.integer(n, path, 16, 256)) }},
		{"on_loss", false, func(n *yaml.Node, path string) { lost = f.choice(n, path, OnLossError, OnLossOmit) }},
	})
	p.Required = lost == OnLossError
	switch {
	case p.Policy == PhotoNone:
		*p = Photo{Policy: PhotoNone}
	case p.from == nil:
		f.fault(n, path, "needs from, the column with the picture")
	case p.Policy == PhotoSecondCode && p.Form == "":
		f.fault(n, path, "needs form, the name of the code that carries the picture")
	case p.Policy == PhotoInline && p.MaxBytes > 600:
		f.fault(n, path, "a picture in the main code has at most 600 bytes (max_bytes); a larger one goes into a second_code")
	}
}

func (f *file) pictureTypes(n *yaml.Node, path string) []string {
	var types []string
	f.list(n, path, true, func(n *yaml.Node, path string) {
		if s := f.choice(n, path, "webp", "avif", "jpeg"); s != "" {
			types = append(types, s)
		}
	})
	return types
}

// read returns the picture of a data URI if it may be carried.
func (p *Photo) read(uri string) (*picture, string) {
	if len(uri) > maxPhotoText {
		return nil, "the picture is larger than anything that could be carried"
	}
	head, encoded, ok := strings.Cut(uri, ",")
	media, isData := strings.CutPrefix(strings.ToLower(head), "data:")
	if !ok || !isData || !strings.HasSuffix(media, ";base64") {
		return nil, "is not a data URI (data:image/webp;base64,...)"
	}
	if size := base64.StdEncoding.DecodedLen(len(strings.TrimRight(encoded, "="))) - 2; size > p.MaxBytes {
		return nil, fmt.Sprintf("the picture has about %d bytes; at most %d fit (max_bytes)", size, p.MaxBytes)
	}
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, "is not a data URI with base64 text"
	}
	if len(data) > p.MaxBytes {
		return nil, fmt.Sprintf("the picture has %d bytes; at most %d fit (max_bytes)", len(data), p.MaxBytes)
	}
	kind, width, height := pictureSize(data)
	switch {
	case kind == "":
		return nil, "is not a WebP, AVIF, JPEG or PNG picture"
	case media != "image/"+kind+";base64":
		return nil, "is of another type than its data URI says"
	case !slices.Contains(p.Types, kind):
		return nil, fmt.Sprintf("is a picture of type %s; carried are %s (types)", kind, strings.Join(p.Types, ", "))
	case width < 1 || height < 1 || width > p.MaxWidth || height > p.MaxHeight:
		return nil, fmt.Sprintf("has %d by %d pixels; at most %d by %d are carried (max_width, max_height)", width, height, p.MaxWidth, p.MaxHeight)
	}
	return &picture{data: data, mediaType: "image/" + kind, sub: map[string]int64{"jpeg": 1, "avif": 3, "webp": 4}[kind]}, ""
}

// pictureSize tells the type of a picture and its size in pixels from its first
// bytes, without decoding it. The type is empty if it is none of the known ones.
func pictureSize(b []byte) (kind string, width, height int) {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG")):
		if c, err := png.DecodeConfig(bytes.NewReader(b)); err == nil {
			return "png", c.Width, c.Height
		}
	case bytes.HasPrefix(b, []byte{0xff, 0xd8, 0xff}):
		if c, err := jpeg.DecodeConfig(bytes.NewReader(b)); err == nil {
			return "jpeg", c.Width, c.Height
		}
	case len(b) >= 30 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		if w, h := webPSize(b); w > 0 {
			return "webp", w, h
		}
	case len(b) >= 12 && string(b[4:8]) == "ftyp":
		if w, h := avifSize(b); w > 0 {
			return "avif", w, h
		}
	}
	return "", 0, 0
}

// webPSize reads the size of a still WebP picture (RFC 9649, sections 2.5 to
// 2.7; RFC 6386 section 9.1). An animated one counts as none.
func webPSize(b []byte) (width, height int) {
	if int64(binary.LittleEndian.Uint32(b[4:8]))+8 > int64(len(b)) {
		return 0, 0
	}
	switch d := b[20:]; string(b[12:16]) {
	case "VP8 ":
		if d[0]&1 == 0 && d[3] == 0x9d && d[4] == 0x01 && d[5] == 0x2a {
			return int(binary.LittleEndian.Uint16(d[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(d[8:]) & 0x3fff)
		}
	case "VP8L":
		if d[0] == 0x2f {
			bits := binary.LittleEndian.Uint32(d[1:])
			return int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1
		}
	case "VP8X":
		if animated := d[0]&0x02 != 0; !animated {
			return int(d[4]) | int(d[5])<<8 | int(d[6])<<16 + 1, int(d[7]) | int(d[8])<<8 | int(d[9])<<16 + 1
		}
	}
	return 0, 0
}

// avifSize reads the size of an AVIF picture: the ispe property in
// meta/iprp/ipco (ISO/IEC 23008-12, section 6.5.3), the largest if there are
// several.
func avifSize(b []byte) (width, height int) {
	brand := string(b[8:12])
	if brand != "avif" && brand != "mif1" {
		return 0, 0
	}
	meta := findBox(b, "meta")
	if len(meta) < 4 {
		return 0, 0
	}
	properties := findBox(findBox(meta[4:], "iprp"), "ipco")
	for len(properties) > 0 {
		kind, body, rest := nextBox(properties)
		if kind == "" {
			break
		}
		if kind == "ispe" && len(body) >= 12 {
			w, h := binary.BigEndian.Uint32(body[4:]), binary.BigEndian.Uint32(body[8:])
			if w > 1<<16 || h > 1<<16 {
				return 0, 0
			}
			width, height = max(width, int(w)), max(height, int(h))
		}
		properties = rest
	}
	return width, height
}

func findBox(b []byte, want string) []byte {
	for len(b) > 0 {
		kind, body, rest := nextBox(b)
		if kind == "" || kind == want {
			return body
		}
		b = rest
	}
	return nil
}

// nextBox cuts the first box off (ISO/IEC 14496-12, section 4.2). kind is empty
// if there is no whole box.
func nextBox(b []byte) (kind string, body, rest []byte) {
	if len(b) < 8 {
		return "", nil, nil
	}
	size := uint64(binary.BigEndian.Uint32(b))
	if size < 8 || size > uint64(len(b)) {
		return "", nil, nil
	}
	return string(b[4:8]), b[8:size], b[size:]
}
