package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigie/api"
)

// value reads one TOML value into a field of [Config] and prints it again. set
// says in its error what would be right.
type value interface {
	set(v any) error
	String() string // as TOML
}

type text struct{ to *string }

func (t text) set(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("is %s; write a text in quotes", kind(v))
	}
	*t.to = s
	return nil
}

func (t text) String() string { return strconv.Quote(*t.to) }

// choice is a text out of a few words.
type choice struct {
	to    *string
	words []string
}

func (c choice) set(v any) error {
	s, ok := v.(string)
	if !ok || !slices.Contains(c.words, s) {
		err := fmt.Errorf("is %s; write %s", shown(v), alternatives(c.words))
		if near := nearest(s, c.words); ok && near != "" {
			err = fmt.Errorf("is %s; did you mean %q? It can be %s", shown(v), near, alternatives(c.words))
		}
		return err
	}
	*c.to = s
	return nil
}

func (c choice) String() string { return strconv.Quote(*c.to) }

type texts struct {
	to      *[]string
	example string
	words   []string // when not nil, the only items allowed
}

func (t texts) set(v any) error {
	items, ok := v.([]any)
	if !ok {
		return fmt.Errorf("is %s; write a list, such as %s", kind(v), t.example)
	}
	list := make([]string, 0, len(items))
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			return fmt.Errorf("holds %s; write a list of texts in quotes, such as %s", shown(item), t.example)
		}
		if t.words != nil && !slices.Contains(t.words, s) {
			return fmt.Errorf("holds %q; the items can be %s", s, alternatives(t.words))
		}
		list = append(list, s)
	}
	*t.to = list
	return nil
}

func (t texts) String() string {
	quoted := make([]string, len(*t.to))
	for i, s := range *t.to {
		quoted[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

type duration struct{ to *time.Duration }

func (d duration) set(v any) error {
	if v == int64(0) {
		*d.to = 0
		return nil
	}
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf(`is %s; write a duration with its unit, such as "5s", "10m" or "24h"`, shown(v))
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf(`is %q, which is no duration; write a number with its unit, such as "5s", "10m" or "24h"`, s)
	}
	if parsed < 0 {
		return fmt.Errorf("is %q; a duration cannot be negative", s)
	}
	*d.to = parsed
	return nil
}

func (d duration) String() string { return strconv.Quote(shortDuration(*d.to)) }

func shortDuration(d time.Duration) string { return api.Duration(d).String() }

type number struct {
	to       *int
	min, max int
}

func (n number) set(v any) error {
	i, ok := v.(int64)
	if !ok {
		return fmt.Errorf("is %s; write a whole number without quotes", shown(v))
	}
	if i < int64(n.min) || i > int64(n.max) {
		return fmt.Errorf("is %d; it can be %d to %d", i, n.min, n.max)
	}
	*n.to = int(i)
	return nil
}

func (n number) String() string { return strconv.Itoa(*n.to) }

// size is a number of bytes, written as a number or as "64KiB".
type size struct {
	to       *int
	min, max int
}

func (z size) set(v any) error {
	n, err := parseSize(v)
	if err != nil {
		return err
	}
	if n < int64(z.min) || n > int64(z.max) {
		return fmt.Errorf("is %s; it can be %s to %s", shown(v), shortSize(z.min), shortSize(z.max))
	}
	*z.to = int(n)
	return nil
}

func (z size) String() string {
	s := shortSize(*z.to)
	if _, err := strconv.Atoi(s); err == nil {
		return s
	}
	return strconv.Quote(s)
}

var units = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func parseSize(v any) (int64, error) {
	if i, ok := v.(int64); ok {
		return i, nil
	}
	if s, ok := v.(string); ok {
		for _, u := range units {
			digits, found := strings.CutSuffix(s, u.name)
			n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32)
			if found && err == nil {
				return n * u.bytes, nil
			}
		}
	}
	return 0, fmt.Errorf(`is %s; write a number of bytes, or a text such as "64KiB", "2MiB" or "1GiB"`, shown(v))
}

func shortSize(n int) string {
	for _, u := range units {
		if n != 0 && int64(n)%u.bytes == 0 {
			return strconv.FormatInt(int64(n)/u.bytes, 10) + u.name
		}
	}
	return strconv.Itoa(n)
}

type boolean struct{ to *bool }

func (b boolean) set(v any) error {
	is, ok := v.(bool)
	if !ok {
		return fmt.Errorf("is %s; write true or false without quotes", shown(v))
	}
	*b.to = is
	return nil
}

func (b boolean) String() string { return strconv.FormatBool(*b.to) }

// shown prints a TOML value for an error, kind says what sort of value it is.
func shown(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case int64, float64, bool:
		return fmt.Sprint(v)
	}
	return kind(v)
}

func kind(v any) string {
	switch v := v.(type) {
	case string:
		return "the text " + strconv.Quote(v)
	case int64, float64:
		return fmt.Sprintf("the number %v", v)
	case bool:
		return fmt.Sprint(v)
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date"
}

func alternatives(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

// nearest is the word that a typo most likely meant, or nothing when no word
// is near.
func nearest(typo string, words []string) string {
	best, near := 0, ""
	for _, w := range words {
		d := distance(typo, w)
		if d <= max(2, len(w)/3) && (near == "" || d < best) {
			best, near = d, w
		}
	}
	return near
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make b out of a.
func distance(a, b string) int {
	previous, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			replace := row[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			next[j] = min(row[j]+1, next[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], previous[j-2]+1)
			}
		}
		previous, row, next = row, next, previous
	}
	return row[len(b)]
}
