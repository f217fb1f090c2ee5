// Package strictyaml looks through a YAML text before go.yaml.in/yaml/v3 decodes it into a struct.
// That library compares each key of a mapping with each other, and tells of every pair that is
// alike: a gigabyte of words about a file of 64 KiB (promise P16).
package strictyaml

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// MaxMembers is the most members of a mapping.
const MaxMembers = 256

// Check refuses a first document that is malformed, or has a mapping with a key twice or with more
// than MaxMembers. Its errors name the line.
func Check(text []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	return checkNode(&doc)
}

func checkNode(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		if len(n.Content) > 2*MaxMembers {
			return fmt.Errorf("line %d: more than %d members", n.Line, MaxMembers)
		}
		seen := map[string]bool{}
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind == yaml.ScalarNode && seen[key.Value] {
				return fmt.Errorf("line %d: mapping key %.40q already defined", key.Line, key.Value)
			}
			seen[key.Value] = true
		}
	}
	for _, inside := range n.Content {
		if err := checkNode(inside); err != nil {
			return err
		}
	}
	return nil
}
