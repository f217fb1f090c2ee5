package chrometest

import (
	"bytes"
	"fmt"
	"image"
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
