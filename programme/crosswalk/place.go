package crosswalk

import (
	"strings"
)

// A Place is where something happened, such as a birth. Every part may be empty.
type Place struct {
	// Code is the registry's own code of the place.
	Code string
	// Facility is a hospital or the like, Locality a town or village, Region
	// what lies above it.
	Facility, Locality, Region string
	// Country is where all this is.
	Country Country
}

// EUDI returns place_of_birth as SD-JWT and the EUDI PID write it: country,
// region and locality, without what is empty. A facility and a code of the
// registry's own are a loss.
func (p Place) EUDI() (map[string]string, error) {
	m := map[string]string{}
	put := func(key, value string) {
		if value != "" {
			m[key] = value
		}
	}
	put("country", p.Country.Alpha2)
	put("region", p.Region)
	put("locality", p.Locality)
	switch {
	case len(m) == 0:
		return nil, loss("place", "there is no country, region or locality")
	case p.Facility != "":
		return m, loss("place", "place_of_birth has no part for a facility")
	case p.Code != "":
		return m, loss("place", "place_of_birth has no part for a location code")
	}
	return m, nil
}

// OpenCRVS returns the name and the country (alpha-3) of OpenCRVS. The name is
// that of the smallest known part; what lies above it is a loss.
func (p Place) OpenCRVS() (name, country string, err error) {
	country, _ = p.Country.ISOAlpha3()
	var parts []string
	for _, s := range []string{p.Facility, p.Locality, p.Region} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	switch {
	case len(parts) == 0 && country == "":
		return "", "", loss("place", "there is no name and no country")
	case len(parts) == 0:
		return "", country, loss("place", "there is no name of a place")
	case len(parts) > 1:
		return parts[0], country, loss("place", "OpenCRVS has one name for a place, not several parts")
	}
	return parts[0], country, nil
}

// DCI returns birth_place of DCI, one text: the parts from the smallest to the
// country's code, a comma between them. Which part is which is a loss if there
// are several.
func (p Place) DCI() (string, error) {
	var parts []string
	for _, s := range []string{p.Facility, p.Locality, p.Region, p.Country.Alpha2} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	switch text := strings.Join(parts, ", "); len(parts) {
	case 0:
		return "", loss("place", "there is no name and no country")
	case 1:
		return text, nil
	default:
		return text, loss("place", "birth_place is one text and does not tell which part is which")
	}
}

// Claim169 returns the location code (key 21). A place that has names only is
// a loss, and the text is then empty.
func (p Place) Claim169() (string, error) {
	if p.Code == "" {
		return "", loss("place", "Claim 169 has a location code only, and the place has none")
	}
	return p.Code, nil
}
