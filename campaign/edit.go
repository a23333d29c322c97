package campaign

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Change is a value that a campaign file is to have.
type Change struct {
	// Key is where it stands, with dots: "judge.light.window".
	Key string
	// Value is a number, a duration or a word, as YAML.
	Value string
}

// EditSpec returns the text of a campaign file with other values. All the rest
// of it, comments and layout included, stays as it is, byte for byte; a key that
// is missing is added at the end of its section. The result is sure to mean what
// the text meant, but for the changes. Where it would not, as with aliases, the
// error wraps ErrSpec and says what to write by hand. The name stands for the
// file.
func EditSpec(name string, text []byte, drivers Drivers, changes ...Change) ([]byte, error) {
	want, err := meaning(name, text, drivers)
	if err != nil {
		return nil, err
	}
	edited := text
	for _, c := range changes {
		if edited, err = c.edit(edited); err != nil {
			return nil, fmt.Errorf("%w %s: %w; write it by hand, %s", ErrSpec, name, err, byHand(changes))
		}
		want[c.Key] = c.Value
	}
	got, err := meaning(name, edited, drivers)
	if err != nil {
		return nil, fmt.Errorf("%w; that is with the changes, so write them by hand, %s", err, byHand(changes))
	}
	for _, key := range union(want, got) {
		if !sameValue(want[key], got[key]) {
			return nil, fmt.Errorf("%w %s: with the changes %s would be %s rather than %s; write them by hand, %s",
				ErrSpec, name, key, orNone(got[key]), orNone(want[key]), byHand(changes))
		}
	}
	return edited, nil
}

// meaning is what a campaign file says, as dotted keys and values.
func meaning(name string, text []byte, drivers Drivers) (map[string]string, error) {
	spec, err := ParseSpec(name, text, drivers)
	if err != nil {
		return nil, err
	}
	return spec.values()
}

func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}

func byHand(changes []Change) string {
	texts := make([]string, len(changes))
	for i, c := range changes {
		texts[i] = c.Key + ": " + c.Value
	}
	return strings.Join(texts, ", ")
}

// edit makes the one change.
func (c Change) edit(text []byte) ([]byte, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil || len(file.Docs) != 1 {
		return nil, fmt.Errorf("%s can't be found in it", c.Key)
	}
	node, keys := file.Docs[0].Body, strings.Split(c.Key, ".")
	for i, key := range keys {
		section, ok := node.(*ast.MappingNode)
		if !ok {
			return nil, fmt.Errorf("%s is not written out as a section", strings.Join(keys[:i], "."))
		}
		value := child(section, key)
		switch {
		case value == nil && section.IsFlowStyle:
			return insertInFlow(text, section, keys[i:], c.Value)
		case value == nil:
			return insertInBlock(text, section, keys[i:], c.Value)
		}
		node = value
	}
	return replace(text, node, c)
}

func child(section *ast.MappingNode, key string) ast.Node {
	for _, v := range section.Values {
		if v.Key.GetToken().Value == key {
			return v.Value
		}
	}
	return nil
}

// replace puts the value in the place of the node's, in its quotes if it has
// any.
func replace(text []byte, node ast.Node, c Change) ([]byte, error) {
	switch node.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode:
	default:
		return nil, fmt.Errorf("%s is not written as a plain value", c.Key)
	}
	at := offset(text, node.GetToken())
	was, is := node.GetToken().Value, c.Value
	switch node.GetToken().Type {
	case token.SingleQuoteType:
		was, is = "'"+was+"'", "'"+is+"'"
	case token.DoubleQuoteType:
		was, is = `"`+was+`"`, `"`+is+`"`
	}
	if was == "" || !bytes.HasPrefix(text[at:], []byte(was)) {
		return nil, fmt.Errorf("%s is not written as a plain value", c.Key)
	}
	return splice(text, at, len(was), is), nil
}

// insertInFlow adds a key to {...}.
func insertInFlow(text []byte, section *ast.MappingNode, keys []string, value string) ([]byte, error) {
	end := offset(text, section.End)
	if end >= len(text) || text[end] != '}' {
		return nil, fmt.Errorf("there is no room for %s", strings.Join(keys, "."))
	}
	entry := strings.Join(keys, ": {") + ": " + value + strings.Repeat("}", len(keys)-1)
	at := len(bytes.TrimRight(text[:end], " \t\r\n"))
	switch text[at-1] {
	case '{':
	case ',':
		entry = " " + entry
	default:
		entry = ", " + entry
	}
	return splice(text, at, 0, entry), nil
}

// insertInBlock adds a key in a line of its own after the last line of the
// section.
func insertInBlock(text []byte, section *ast.MappingNode, keys []string, value string) ([]byte, error) {
	if len(section.Values) == 0 {
		return nil, fmt.Errorf("there is no room for %s", strings.Join(keys, "."))
	}
	var last lastLine
	ast.Walk(&last, section)
	newline := "\n"
	at := lineStart(text, int(last)+1)
	if bytes.HasSuffix(text[:at], []byte("\r\n")) {
		newline = "\r\n"
	}
	var entry strings.Builder
	if at > 0 && text[at-1] != '\n' {
		entry.WriteString(newline)
	}
	indent := strings.Repeat(" ", section.Values[0].Key.GetToken().Position.Column-1)
	for i, key := range keys {
		entry.WriteString(indent + strings.Repeat("  ", i) + key + ":")
		if i == len(keys)-1 {
			entry.WriteString(" " + value)
		}
		entry.WriteString(newline)
	}
	return splice(text, at, 0, entry.String()), nil
}

// lastLine is the last line on which a node begins or a flow ends.
type lastLine int

// Visit looks at the node.
func (l *lastLine) Visit(node ast.Node) ast.Visitor {
	for _, t := range []*token.Token{node.GetToken(), flowEnd(node)} {
		if t != nil {
			*l = max(*l, lastLine(t.Position.Line))
		}
	}
	return l
}

func flowEnd(node ast.Node) *token.Token {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.End
	case *ast.SequenceNode:
		return n.End
	default:
		return nil
	}
}

// lineStart is where a line begins, the first being 1.
func lineStart(text []byte, line int) int {
	at := 0
	for ; line > 1; line-- {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			return len(text)
		}
		at += n + 1
	}
	return at
}

// offset is where a token begins. Its column counts characters.
func offset(text []byte, t *token.Token) int {
	if t == nil {
		return len(text)
	}
	at := lineStart(text, t.Position.Line)
	column := 1
	for i := range string(text[at:]) {
		if column == t.Position.Column {
			return at + i
		}
		column++
	}
	return len(text)
}

func splice(text []byte, at, length int, insert string) []byte {
	return bytes.Join([][]byte{text[:at], text[at+length:]}, []byte(insert))
}
