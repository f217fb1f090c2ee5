package programme

import "github.com/sanad-id/sanad/credential"

// Seams for the black-box tests.
var (
	Clean       = clean
	PictureSize = pictureSize
)

// FindJSON follows a path in a JSON text.
func FindJSON(path, text string) (value string, found bool, err error) {
	p, err := parseJSONPath(path)
	if err != nil {
		return "", false, err
	}
	value, err = p.find(text)
	return value, true, err
}

// ReadPicture reads a data URI under the rules of a photo policy.
func (p Photo) ReadPicture(uri string) (mediaType string, detail string) {
	pic, detail := p.read(uri)
	if pic == nil {
		return "", detail
	}
	return pic.mediaType, ""
}

// Photo returns the portrait, nil if there is none.
func (c Content) Photo() *credential.Face {
	if c.photo == nil {
		return nil
	}
	return &credential.Face{Data: c.photo.data, MediaType: c.photo.mediaType}
}
