package auth

// generations is a bounded map that forgets: entries live in the present
// generation or the one before. When the present one has lasted its time or is
// full, it becomes the one before and what was in that is gone; whatever is put
// again lives on.
type generations[K comparable, V any] struct {
	present, before map[K]V
	turn            int64 // number of the present generation in time
	max             int   // entries in one generation
}

// at brings the generations to turn.
func (g *generations[K, V]) at(turn int64) {
	switch {
	case g.present == nil || turn > g.turn+1:
		g.present, g.before = make(map[K]V), nil
	case turn == g.turn+1:
		g.present, g.before = make(map[K]V), g.present
	}
	g.turn = max(g.turn, turn)
}

func (g *generations[K, V]) get(k K) (v V, ok bool) {
	if v, ok = g.present[k]; ok {
		return v, true
	}
	v, ok = g.before[k]
	return v, ok
}

func (g *generations[K, V]) put(k K, v V) {
	if _, ok := g.present[k]; !ok && len(g.present) >= g.max {
		g.present, g.before = make(map[K]V), g.present
	}
	g.present[k] = v
}
