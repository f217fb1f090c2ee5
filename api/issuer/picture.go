package issuer

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"strings"
)

// MaxPicture is the most bytes of a picture that is served.
const MaxPicture = 64 << 10

// ErrPicture: bytes that are not served as a picture.
var ErrPicture = errors.New("issuer: not a picture for wallets")

const (
	svgNamespace = "http://www.w3.org/2000/svg"
	// maxPictureSide is the most pixels of a side of a PNG.
	maxPictureSide = 2048
	// pngEnd is the last chunk of a PNG (ISO/IEC 15948, section 11.2.5).
	pngEnd = "\x00\x00\x00\x00IEND\xaeB`\x82"
)

// Picture is a PNG or SVG file as a document that wallets may draw. An SVG that runs
// something or fetches something from elsewhere is refused, since others than browsers
// draw it, too. The error wraps [ErrPicture].
func Picture(b []byte) (Document, error) {
	switch {
	case len(b) > MaxPicture:
		return Document{}, fmt.Errorf("%w: more than %d bytes", ErrPicture, MaxPicture)
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return Document{"image/png", b}, checkPNG(b)
	case bytes.Contains(b[:min(len(b), 1024)], []byte("<svg")):
		return Document{"image/svg+xml", b}, checkSVG(b)
	}
	return Document{}, fmt.Errorf("%w: neither an SVG nor a PNG file", ErrPicture)
}

func checkPNG(b []byte) error {
	c, err := png.DecodeConfig(bytes.NewReader(b))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrPicture, err)
	case c.Width > maxPictureSide || c.Height > maxPictureSide:
		return fmt.Errorf("%w: %d by %d pixels; a side has at most %d", ErrPicture, c.Width, c.Height, maxPictureSide)
	case !bytes.HasSuffix(b, []byte(pngEnd)):
		return fmt.Errorf("%w: the file is cut off, or something follows the picture", ErrPicture)
	}
	return nil
}

func checkSVG(b []byte) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	for began := false; ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && began {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrPicture, err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if !began && t.Name != (xml.Name{Space: svgNamespace, Local: "svg"}) {
				return fmt.Errorf("%w: it begins with %.32q, not with svg of %s", ErrPicture, t.Name.Local, svgNamespace)
			}
			began = true
			err = checkElement(t)
		case xml.CharData:
			err = checkReferences(string(t)) // of a style sheet; of no harm elsewhere
		case xml.Directive:
			err = fmt.Errorf("%w: remove its DOCTYPE", ErrPicture)
		case xml.ProcInst:
			if t.Target != "xml" {
				err = fmt.Errorf("%w: remove its <?%.32s?>", ErrPicture, t.Target)
			}
		}
		if err != nil {
			return err
		}
	}
}

// checkElement refuses elements and attributes that run or fetch something.
func checkElement(e xml.StartElement) error {
	switch strings.ToLower(e.Name.Local) {
	case "script", "handler", "listener", "foreignobject", "iframe", "embed", "object":
		return fmt.Errorf("%w: it has the element %s", ErrPicture, e.Name.Local)
	}
	for _, a := range e.Attr {
		name, value := strings.ToLower(a.Name.Local), strings.ToLower(strings.TrimSpace(a.Value))
		switch {
		case strings.HasPrefix(name, "on"):
			return fmt.Errorf("%w: it has the attribute %.32s", ErrPicture, a.Name.Local)
		case (name == "href" || name == "src") && !strings.HasPrefix(value, "#") && !strings.HasPrefix(value, "data:image/png;") && !strings.HasPrefix(value, "data:image/jpeg;"):
			return fmt.Errorf("%w: it refers to %.64q; only parts of itself and data: pictures are possible", ErrPicture, a.Value)
		}
		if err := checkReferences(value); err != nil {
			return err
		}
	}
	return nil
}

// checkReferences refuses style that fetches something: what is not a part of the same
// file, such as url(#shade). Escapes could hide a word of it, and no picture needs them.
func checkReferences(style string) error {
	style = strings.ToLower(style)
	rest, found := style, true
	for found {
		if _, rest, found = strings.Cut(rest, "url("); found && !strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n'\""), "#") {
			return fmt.Errorf("%w: its style refers to another file", ErrPicture)
		}
	}
	if strings.Contains(style, "@import") || strings.Contains(style, "\\") {
		return fmt.Errorf("%w: its style has @import or escapes", ErrPicture)
	}
	return nil
}
