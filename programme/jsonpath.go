package programme

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits on JSON within a column.
const (
	maxJSON      = 64 << 10
	maxJSONDepth = 16
	maxJSONItems = 1000
)

// A jsonPath leads to one value in a JSON text: names and positions with a
// point between them, and [name=value] for the one entry of a list that has
// this value, as in "names[language=bn].value" or "0.id".
type jsonPath []step

// A step goes to a member, to an entry of a list, or to the entry where a member
// has a value.
type step struct {
	name         string
	index        int // -1 if the step is a name
	where, equal string
}

func parseJSONPath(s string) (jsonPath, error) {
	wrong := errors.New("write names and positions with a point between them, and [name=value] to pick from a list: names[language=bn].value")
	var p jsonPath
	for rest := s; rest != ""; {
		if len(p) == maxJSONDepth {
			return nil, wrong
		}
		if rest[0] == '[' {
			inside, after, ok := strings.Cut(rest[1:], "]")
			name, value, equals := strings.Cut(inside, "=")
			if !ok || !equals || name == "" || value == "" {
				return nil, wrong
			}
			p = append(p, step{index: -1, where: name, equal: value})
			rest = strings.TrimPrefix(after, ".")
			if after == "." || rest != "" && rest == after && rest[0] != '[' {
				return nil, wrong
			}
			continue
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		name := rest[:end]
		if name == "" || strings.ContainsAny(name, "]=") {
			return nil, wrong
		}
		st := step{name: name, index: -1}
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && strconv.Itoa(i) == name {
			st.index = i
		}
		p = append(p, st)
		if rest = rest[end:]; strings.HasPrefix(rest, ".") {
			if rest = rest[1:]; rest == "" || rest[0] == '[' {
				return nil, wrong
			}
		}
	}
	if len(p) == 0 {
		return nil, wrong
	}
	return p, nil
}

// find returns the text of the value that the path leads to, "" if there is
// none. Its errors do not quote the text.
func (p jsonPath) find(text string) (string, error) {
	if len(text) > maxJSON {
		return "", fmt.Errorf("the JSON text is longer than %d bytes", maxJSON)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	v, err := jsonValue(dec, maxJSONDepth)
	if err != nil {
		return "", err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("something stands behind the JSON value")
	}
	for _, st := range p {
		v = st.take(v)
	}
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", errors.New("the path leads to an object or a list, not to a text or number")
}

func (st step) take(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if st.where == "" {
			return v[st.name]
		}
	case []any:
		for i, entry := range v {
			if st.where == "" {
				if i == st.index {
					return entry
				}
				continue
			}
			if m, ok := entry.(map[string]any); ok && fmt.Sprint(m[st.where]) == st.equal {
				return entry
			}
		}
	}
	return nil
}

var errJSON = errors.New("is not JSON")

// jsonValue reads one value. Of two members with one name it is an error, since
// it could not be told which one is meant.
func jsonValue(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, errJSON
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth == 0 {
		return nil, fmt.Errorf("the JSON text is nested deeper than %d", maxJSONDepth)
	}
	if delim == '[' {
		list := []any{}
		for dec.More() {
			v, err := jsonValue(dec, depth-1)
			if err != nil {
				return nil, err
			}
			if list = append(list, v); len(list) > maxJSONItems {
				return nil, fmt.Errorf("a JSON list has more than %d entries", maxJSONItems)
			}
		}
		return list, jsonEnd(dec)
	}
	m := map[string]any{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errJSON
		}
		if _, twice := m[name]; twice {
			return nil, errors.New("a JSON object has two members of one name")
		}
		if m[name], err = jsonValue(dec, depth-1); err != nil {
			return nil, err
		}
		if len(m) > maxJSONItems {
			return nil, fmt.Errorf("a JSON object has more than %d members", maxJSONItems)
		}
	}
	return m, jsonEnd(dec)
}

func jsonEnd(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return errJSON
	}
	return nil
}
