package chrometest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// CameraWidth and CameraHeight are the size of what the camera sees, in pixels.
const CameraWidth, CameraHeight = 1280, 720

// camera is the file that the browser takes for a camera.
func camera(dir string) string { return filepath.Join(dir, "camera.y4m") }

// Camera holds pictures in front of the camera of all pages, one after the other and
// then from the beginning, thirty a second: grey ones of [CameraWidth] by
// [CameraHeight]. A page sees them when it starts its camera after this.
func (p *Page) Camera(pictures ...*image.Gray) {
	p.t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "YUV4MPEG2 W%d H%d F30:1 Ip A1:1 C420jpeg\n", CameraWidth, CameraHeight)
	grey := bytes.Repeat([]byte{128}, CameraWidth*CameraHeight/2)
	for _, g := range pictures {
		if g.Rect != image.Rect(0, 0, CameraWidth, CameraHeight) {
			p.t.Fatalf("a picture of %v for the camera", g.Rect)
		}
		b.WriteString("FRAME\n")
		b.Write(g.Pix)
		b.Write(grey)
	}
	dir, _ := p.ctx.Value(dirKey{}).(string)
	// In one step: a camera that is on goes on with the file that it has open.
	next := camera(dir) + ".next"
	err := os.WriteFile(next, b.Bytes(), 0o600)
	if err == nil {
		err = os.Rename(next, camera(dir))
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// Scene is what a camera sees of a sheet that somebody holds before it: turned by an
// angle in degrees, four fifths as large as the picture is high, a little out of focus,
// in poor light that comes from the right, and with noise, which is another one for each
// seed.
func Scene(sheet image.Image, angle float64, seed uint64) *image.Gray {
	size := sheet.Bounds().Size()
	scale := float64(max(size.X, size.Y)) / (CameraHeight * 0.8)
	sin, cos := math.Sincos(angle * math.Pi / 180)
	lit := image.NewGray(image.Rect(0, 0, CameraWidth, CameraHeight))
	for y := range CameraHeight {
		for x := range CameraWidth {
			dx, dy := float64(x-CameraWidth/2), float64(y-CameraHeight/2)
			at := sheet.Bounds().Min.Add(image.Pt(size.X/2+int(math.Round((dx*cos+dy*sin)*scale)), size.Y/2+int(math.Round((dy*cos-dx*sin)*scale))))
			grey := 150 // the desk
			if at.In(sheet.Bounds()) {
				grey = 70 + int(color.GrayModel.Convert(sheet.At(at.X, at.Y)).(color.Gray).Y)*120/255
			}
			lit.Pix[y*lit.Stride+x] = uint8(grey + 25*x/CameraWidth) //nolint:gosec // below 256
		}
	}
	r := rand.New(rand.NewPCG(7, seed)) //nolint:gosec // noise
	picture := image.NewGray(lit.Rect)
	for y := range CameraHeight {
		for x := range CameraWidth {
			sum, n := 0, 0
			for _, d := range []image.Point{{}, {X: -1}, {X: 1}, {Y: -1}, {Y: 1}} {
				if at := image.Pt(x, y).Add(d); at.In(lit.Rect) {
					sum, n = sum+int(lit.Pix[at.Y*lit.Stride+at.X]), n+1
				}
			}
			picture.Pix[y*picture.Stride+x] = uint8(min(max(sum/n+r.IntN(37)-18, 0), 255)) //nolint:gosec // below 256
		}
	}
	return picture
}
