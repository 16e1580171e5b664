package app

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Problem is one thing wrong with a configuration file.
type Problem struct {
	File string // empty for the defaults
	Line int    // 0 when the problem has no line of its own
	Text string
}

func (p Problem) Error() string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Problems is everything wrong with a file, in its order.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Load reads a configuration file over the defaults and checks every value. An
// empty name means the defaults alone. All problems are reported at once, as
// [Problems].
func Load(file string) (*Config, error) {
	if file == "" {
		return parse("", nil)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, Problems{{File: file, Text: "cannot be read: " + err.Error()}}
	}
	return parse(file, data)
}

// changed lists the keys of which another configuration says something else,
// but for the log level, which a running server takes over.
func (c *Config) changed(other *Config) []string {
	var keys []string
	theirs := other.settings()
	for i, ours := range c.settings() {
		if ours.key != "log.level" && ours.value.String() != theirs[i].value.String() {
			keys = append(keys, ours.key)
		}
	}
	return keys
}

func parse(file string, data []byte) (*Config, error) {
	c := Default()
	c.File = file
	var tree map[string]any
	meta, err := toml.Decode(string(data), &tree)
	if err != nil {
		return nil, Problems{syntaxProblem(file, err)}
	}
	r := reading{file: file, data: data, keys: map[string]setting{}}
	for _, s := range c.settings() {
		r.keys[s.key] = s
	}
	r.table("", tree)
	for _, f := range c.faults() {
		if !r.refused[f.key] {
			r.problem(f.key, f.text)
		}
	}
	if len(r.problems) > 0 {
		order := positions(meta)
		slices.SortStableFunc(r.problems, func(a, b keyProblem) int { return order[a.key] - order[b.key] })
		return nil, r.all()
	}
	return c, nil
}

// reading walks a decoded file and hands every value to its setting.
type reading struct {
	file     string
	data     []byte
	keys     map[string]setting
	refused  map[string]bool
	problems []keyProblem
}

type keyProblem struct {
	key string
	Problem
}

func (r *reading) table(prefix string, tree map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		key, v := prefix+name, tree[name]
		if s, ok := r.keys[key]; ok {
			if err := s.value.set(v); err != nil {
				r.problem(key, fmt.Sprintf("%s %v", key, err))
			}
			continue
		}
		inner, isTable := v.(map[string]any)
		switch {
		case !r.isTable(key):
			r.problem(key, r.unknown(key, isTable))
		case !isTable:
			r.problem(key, fmt.Sprintf("%s is %s; it holds several keys: %s", key, kind(v), strings.Join(r.within(key), ", ")))
		default:
			r.table(key+".", inner)
		}
	}
}

// isTable tells whether some known key stands inside key.
func (r *reading) isTable(key string) bool { return len(r.within(key)) > 0 }

func (r *reading) within(key string) []string {
	var inside []string
	for known := range r.keys {
		if strings.HasPrefix(known, key+".") {
			inside = append(inside, strings.TrimPrefix(known, key+"."))
		}
	}
	slices.Sort(inside)
	return inside
}

// unknown words the refusal of a key and looks for the one that was meant: first
// in the same table, then anywhere, then under the same last word elsewhere.
func (r *reading) unknown(key string, isTable bool) string {
	what := "unknown key"
	candidates := slices.Collect(maps.Keys(r.keys))
	if isTable {
		what, candidates = "unknown section", slices.Collect(maps.Keys(sections))
		if strings.Contains(key, ".") {
			candidates = r.tables()
		}
	}
	slices.Sort(candidates)
	near := nearest(key, candidates)
	if near == "" {
		last := key[strings.LastIndexByte(key, '.')+1:]
		for _, c := range candidates {
			if strings.HasSuffix("."+c, "."+last) {
				near = c
				break
			}
		}
	}
	if near == "" {
		return fmt.Sprintf("%s %q; `vigie config` prints all there are", what, key)
	}
	return fmt.Sprintf("%s %q; did you mean %q?", what, key, near)
}

// tables lists the inline tables, such as "presence.expires".
func (r *reading) tables() []string {
	found := map[string]bool{}
	for key := range r.keys {
		if table, _, ok := cutLast(key); ok {
			found[table] = true
		}
	}
	return slices.Collect(maps.Keys(found))
}

func cutLast(key string) (table, name string, ok bool) {
	i := strings.LastIndexByte(key, '.')
	if i < 0 {
		return "", key, false
	}
	return key[:i], key[i+1:], true
}

func (r *reading) problem(key, text string) {
	if r.refused == nil {
		r.refused = map[string]bool{}
	}
	r.refused[key] = true
	r.problems = append(r.problems, keyProblem{key, Problem{File: r.file, Line: lineOf(r.data, key), Text: text}})
}

func (r *reading) all() Problems {
	list := make(Problems, len(r.problems))
	for i, p := range r.problems {
		list[i] = p.Problem
	}
	return list
}

func positions(meta toml.MetaData) map[string]int {
	order := map[string]int{}
	for i, k := range meta.Keys() {
		order[strings.Join(k, ".")] = i
	}
	return order
}

// syntaxProblem takes the line out of what the TOML parser says.
func syntaxProblem(file string, err error) Problem {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return Problem{File: file, Text: err.Error()}
	}
	return Problem{File: file, Line: syntax.Position.Line, Text: "not TOML: " + syntax.Message}
}

// lineOf finds the line of a key's value, 0 when the file does not have the
// key. The parser tells positions in its errors alone, so it is asked to read
// that one value into something that refuses every value.
func lineOf(data []byte, key string) int {
	table := map[string]toml.Primitive{}
	meta, err := toml.Decode(string(data), &table)
	names := strings.Split(key, ".")
	for i, name := range names {
		if err != nil {
			return 0
		}
		value, ok := table[name]
		if !ok {
			return 0
		}
		var refused toml.ParseError
		if i == len(names)-1 {
			errors.As(meta.PrimitiveDecode(value, refuser{}), &refused)
			return refused.Position.Line
		}
		table = map[string]toml.Primitive{}
		err = meta.PrimitiveDecode(value, &table)
	}
	return 0
}

type refuser struct{}

func (refuser) UnmarshalTOML(any) error { return errors.New("here") }
