/*
 * An oracle for the Python modules: list operations on a fixed pool of nodes.
 *
 * Reads one call a line ("list_add 3 0", arguments are indexes into the pool) and answers each with
 * a line that has "next/prev" for every node: an index, P1 or P2 for a poison, NULL.
 * Usage: list_head NODES < script
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	struct node *next, *prev;
};

static struct node pool[64], poison1, poison2;

static void join(struct node *left, struct node *right)
{
	right->prev = left;
	left->next = right;
}

static void init(struct node *n)
{
	join(n, n);
}

static void put_between(struct node *left, struct node *n, struct node *right)
{
	join(left, n);
	join(n, right);
}

static void add(struct node *n, struct node *where)
{
	put_between(where, n, where->next);
}

static void add_tail(struct node *n, struct node *where)
{
	put_between(where->prev, n, where);
}

static void unlink_only(struct node *n)
{
	join(n->prev, n->next);
}

static void del(struct node *n)
{
	unlink_only(n);
	n->next = &poison1;
	n->prev = &poison2;
}

static void del_init(struct node *n)
{
	unlink_only(n);
	init(n);
}

static void replace(struct node *old, struct node *n)
{
	/* Read old->prev only after the first join: an old that is alone is its own neighbour. */
	join(n, old->next);
	join(old->prev, n);
}

static void replace_init(struct node *old, struct node *n)
{
	replace(old, n);
	init(old);
}

static void swap(struct node *a, struct node *b)
{
	struct node *before_b = b->prev;

	del(b);
	replace(a, b);
	add(a, before_b == a ? b : before_b);
}

static void move(struct node *n, struct node *where)
{
	unlink_only(n);
	add(n, where);
}

static void move_tail(struct node *n, struct node *where)
{
	unlink_only(n);
	add_tail(n, where);
}

static void bulk_move_tail(struct node *where, struct node *first, struct node *last)
{
	join(first->prev, last->next);
	join(where->prev, first);
	join(last, where);
}

static void rotate_left(struct node *head)
{
	if (head->next != head)
		move_tail(head->next, head);
}

static void rotate_to_front(struct node *n, struct node *head)
{
	move_tail(head, n);
}

static void cut_position(struct node *to, struct node *head, struct node *last)
{
	struct node *rest = last->next;

	if (head->next == head)
		return;
	if (last == head) {
		init(to);
		return;
	}
	if (head->next == head->prev && last != head->next)
		return;
	join(to, head->next);
	join(last, to);
	join(head, rest);
}

static void cut_before(struct node *to, struct node *head, struct node *end)
{
	if (head->next == end) {
		init(to);
		return;
	}
	join(to, head->next);
	join(end->prev, to);
	join(head, end);
}

static void splice_between(struct node *from, struct node *left, struct node *right)
{
	struct node *first = from->next, *last = from->prev;

	if (first == from)
		return;
	join(left, first);
	join(last, right);
}

static void splice(struct node *from, struct node *where)
{
	splice_between(from, where, where->next);
}

static void splice_tail(struct node *from, struct node *where)
{
	splice_between(from, where->prev, where);
}

static void splice_init(struct node *from, struct node *where)
{
	splice(from, where);
	init(from);
}

static void splice_tail_init(struct node *from, struct node *where)
{
	splice_tail(from, where);
	init(from);
}

static const struct operation {
	const char *name;
	void (*one)(struct node *);
	void (*two)(struct node *, struct node *);
	void (*three)(struct node *, struct node *, struct node *);
} operations[] = {
	{ "init_list_head", init, NULL, NULL },
	{ "list_add", NULL, add, NULL },
	{ "list_add_tail", NULL, add_tail, NULL },
	{ "list_del", del, NULL, NULL },
	{ "list_del_init", del_init, NULL, NULL },
	{ "list_del_init_careful", del_init, NULL, NULL },
	{ "list_replace", NULL, replace, NULL },
	{ "list_replace_init", NULL, replace_init, NULL },
	{ "list_swap", NULL, swap, NULL },
	{ "list_move", NULL, move, NULL },
	{ "list_move_tail", NULL, move_tail, NULL },
	{ "list_bulk_move_tail", NULL, NULL, bulk_move_tail },
	{ "list_rotate_left", rotate_left, NULL, NULL },
	{ "list_rotate_to_front", NULL, rotate_to_front, NULL },
	{ "list_cut_position", NULL, NULL, cut_position },
	{ "list_cut_before", NULL, NULL, cut_before },
	{ "list_splice", NULL, splice, NULL },
	{ "list_splice_tail", NULL, splice_tail, NULL },
	{ "list_splice_init", NULL, splice_init, NULL },
	{ "list_splice_tail_init", NULL, splice_tail_init, NULL },
};

static void run(const char *name, struct node *a, struct node *b, struct node *c)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		const struct operation *op = &operations[i];

		if (strcmp(op->name, name))
			continue;
		if (op->one)
			op->one(a);
		else if (op->two)
			op->two(a, b);
		else
			op->three(a, b, c);
		return;
	}
	fprintf(stderr, "unknown operation: %s\n", name);
	exit(1);
}

static void print_pointer(const struct node *p, char end)
{
	if (!p)
		printf("NULL%c", end);
	else if (p == &poison1 || p == &poison2)
		printf("P%d%c", p == &poison1 ? 1 : 2, end);
	else
		printf("%d%c", (int)(p - pool), end);
}

int main(int argc, char **argv)
{
	int nodes = argc > 1 ? atoi(argv[1]) : 0;
	char line[80], name[32];

	while (fgets(line, sizeof(line), stdin)) {
		unsigned int at[3] = { 0 };

		if (sscanf(line, "%31s %u %u %u", name, &at[0], &at[1], &at[2]) < 2)
			return 1;
		run(name, &pool[at[0] % 64], &pool[at[1] % 64], &pool[at[2] % 64]);
		for (int i = 0; i < nodes; i++) {
			print_pointer(pool[i].next, '/');
			print_pointer(pool[i].prev, i + 1 < nodes ? ' ' : '\n');
		}
	}
	return 0;
}
