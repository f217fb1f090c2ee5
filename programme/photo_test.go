package programme_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/programme"
)

// box is an ISO base media file box.
func box(kind string, body ...[]byte) []byte {
	content := bytes.Join(body, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(content)))
	return append(append(b, kind...), content...)
}

// avif is the head of an AVIF picture of this size.
func avif(width, height uint32) []byte {
	size := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(make([]byte, 4), width), height)
	return append(
		box("ftyp", []byte("avif\x00\x00\x00\x00avif")),
		box("meta", make([]byte, 4), box("hdlr", make([]byte, 24)), box("iprp", box("ipco", box("pixi", make([]byte, 8)), box("ispe", size))))...)
}

func jpegPicture(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, width, height)), &jpeg.Options{Quality: 10}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func uri(kind string, b []byte) string {
	return "data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(b)
}

// vp8x is the head of an extended WebP picture of 64 by 80.
func vp8x(flags byte) []byte {
	b := webP(0, 0, 60)
	copy(b[12:], "VP8X")
	copy(b[20:], []byte{flags, 0, 0, 0, 63, 0, 0, 79, 0, 0})
	return b
}

// vp8l is the head of a lossless WebP picture of 64 by 80.
func vp8l() []byte {
	b := webP(0, 0, 60)
	copy(b[12:], "VP8L")
	b[20] = 0x2f
	binary.LittleEndian.PutUint32(b[21:], 63|79<<14)
	return b
}

func TestReadPicture(t *testing.T) {
	policy := programme.Photo{Types: []string{"webp", "avif", "jpeg"}, MaxBytes: 600, MaxWidth: 64, MaxHeight: 80}
	var pngPicture bytes.Buffer
	if err := png.Encode(&pngPicture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	still := webP(64, 80, 300)
	tests := []struct {
		name, uri string
		want      string // the media type, or what the refusal must say
	}{
		{"WebP", uri("webp", still), "image/webp"},
		{"WebP, lossless", uri("webp", vp8l()), "image/webp"},
		{"WebP, extended", uri("webp", vp8x(0)), "image/webp"},
		{"AVIF", uri("avif", avif(64, 80)), "image/avif"},
		{"JPEG", uri("jpeg", jpegPicture(t, 16, 16)), "image/jpeg"},
		{"type in capitals", strings.Replace(uri("webp", still), "data:image/webp", "DATA:IMAGE/WEBP", 1), "image/webp"},
		{"exactly as large as allowed", uri("webp", webP(64, 80, 600)), "image/webp"},

		{"a byte too many", uri("webp", webP(64, 80, 601)), "has 601 bytes; at most 600"},
		{"far too large", uri("webp", webP(64, 80, 9000)), "bytes; at most 600"},
		{"larger than anything", "data:image/webp;base64," + strings.Repeat("A", 1<<20), "larger than anything"},
		{"too wide", uri("webp", webP(65, 80, 300)), "has 65 by 80 pixels"},
		{"too high", uri("avif", avif(64, 81)), "has 64 by 81 pixels"},
		{"no size", uri("webp", webP(0, 0, 300)), "is not a WebP"},
		{"a type that is not carried", uri("png", pngPicture.Bytes()), "is a picture of type png"},
		{"another type than it says", uri("webp", avif(64, 80)), "of another type"},
		{"animated", uri("webp", vp8x(2)), "is not a WebP"},
		{"cut off", uri("webp", still[:100]), "is not a WebP"},
		{"only a head", uri("webp", still[:20]), "is not a WebP"},
		{"JPEG cut off", uri("jpeg", []byte{0xff, 0xd8, 0xff, 0xe0}), "is not a WebP"},
		{"AVIF with a box beyond the end", uri("avif", avif(64, 80)[:60]), "is not a WebP"},
		{"text", uri("webp", []byte("hello")), "is not a WebP"},
		{"not base64", "data:image/webp;base64,####", "is not a data URI"},
		{"not a data URI", "https://example.org/face.webp", "is not a data URI"},
		{"data in another encoding", "data:image/webp,RIFF", "is not a data URI"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			media, detail := policy.ReadPicture(tt.uri)
			if strings.HasPrefix(tt.want, "image/") {
				if media != tt.want {
					t.Errorf("%q, %q, want %s", media, detail, tt.want)
				}
				return
			}
			if media != "" || !strings.Contains(detail, tt.want) {
				t.Errorf("%q, %q, want refusal: %s", media, detail, tt.want)
			}
		})
	}
}

// FuzzPictureSize: no bytes make it fail or claim an impossible size.
func FuzzPictureSize(f *testing.F) {
	f.Add(webP(64, 80, 60))
	f.Add(vp8l())
	f.Add(vp8x(0))
	f.Add(avif(64, 80))
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Add([]byte{0xff, 0xd8, 0xff, 0xe0})
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		kind, width, height := programme.PictureSize(b)
		if kind == "" && (width != 0 || height != 0) {
			t.Fatalf("no picture, and yet %d by %d", width, height)
		}
		if width < 0 || height < 0 || width > 1<<24 && kind != "png" {
			t.Fatalf("%s of %d by %d", kind, width, height)
		}
	})
}
