/*
 * What SQLite of osquery's age asks virtual tables that decide as osquery's do. It reads
 * planned.txt and writes it again, with the requests that each statement comes to behind it:
 *
 *   cc -o planner planner.c -lsqlite3 && ./planner < planned.txt > new && mv new planned.txt
 *
 * It needs a SQLite of 3.38 to 3.42, which has sqlite3_vtab_in and plans as osquery's (3.42).
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX = 1, REQUIRED = 2, ADDITIONAL = 4, OPTIMIZED = 8, EQUALS = 2, LIST = 3 };

struct column { char name[64], type[32]; int options; };

struct table {
	char name[64], schema[8192];
	int extension, columns, rows;
	struct column column[128];
	char *cell[16][128];
};

struct scan { sqlite3_uint64 used; int args, column[256], op[256]; };

struct vtab { sqlite3_vtab base; struct table *table; };
struct cursor { sqlite3_vtab_cursor base; int row; };

static struct table *tables[16];
static struct scan *scans[100000];
static int ntables, nscans;

static int connect(sqlite3 *db, void *table, int argc, const char *const *argv, sqlite3_vtab **out, char **err)
{
	struct vtab *v = calloc(1, sizeof *v);

	v->table = table;
	*out = &v->base;
	return sqlite3_declare_vtab(db, v->table->schema);
}

static int disconnect(sqlite3_vtab *v)
{
	free(v);
	return SQLITE_OK;
}

static int best_index(sqlite3_vtab *v, sqlite3_index_info *info)
{
	struct table *t = ((struct vtab *)v)->table;
	struct scan *s = calloc(1, sizeof *s);
	int i, required = 0, given = 0;
	double cost = 1000000;

	for (i = 0; i < info->nConstraint; i++) {
		int col = info->aConstraint[i].iColumn, op = info->aConstraint[i].op, options;

		if (!info->aConstraint[i].usable || col < 0 || col >= t->columns)
			continue;
		if (!strcmp(t->column[col].type, "TEXT") && (op == 4 || op == 8 || op == 16 || op == 32)) {
			cost += 10;
			continue;
		}
		options = t->column[col].options;
		if (!(options & (REQUIRED | INDEX | ADDITIONAL)))
			continue;
		cost = 1;
		given |= options & REQUIRED;
		if (sqlite3_vtab_in(info, i, -1) && options & OPTIMIZED) {
			sqlite3_vtab_in(info, i, 1);
			op = LIST;
		}
		s->column[s->args] = col;
		s->op[s->args] = op;
		info->aConstraintUsage[i].argvIndex = ++s->args;
	}
	s->used = info->colUsed;
	for (i = 0; i < t->columns; i++)
		if (s->used >> (i < 63 ? i : 63) & 1)
			required |= t->column[i].options & REQUIRED;
	info->estimatedCost = required && !given ? 1000000 : cost;
	info->idxNum = nscans;
	scans[nscans++] = s;
	return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *v, sqlite3_vtab_cursor **out)
{
	*out = calloc(1, sizeof(struct cursor));
	return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *c)
{
	free(c);
	return SQLITE_OK;
}

static void tell(struct table *t, int column, int op, sqlite3_value *value, int even_empty)
{
	const char *text = (const char *)sqlite3_value_text(value);

	if (text && (*text || even_empty))
		printf(" [%s %d %s]", t->column[column].name, op, text);
}

static int filter(sqlite3_vtab_cursor *c, int number, const char *unused, int argc, sqlite3_value **argv)
{
	struct table *t = ((struct vtab *)c->pVtab)->table;
	struct scan *s = scans[number];
	int i, col, required = 0, given = 0;

	for (i = 0; i < t->columns; i++)
		required |= t->column[i].options & REQUIRED;
	for (i = 0; i < s->args; i++)
		given |= t->column[s->column[i]].options & REQUIRED;
	((struct cursor *)c)->row = 0;
	if (required && !given) {
		c->pVtab->zErrMsg = sqlite3_mprintf(
			"Table %s was queried without a required column in the WHERE clause", t->name);
		return SQLITE_CONSTRAINT;
	}
	if (!t->extension)
		return SQLITE_OK;
	printf("\t%s %llx", t->name, s->used);
	for (col = 0; col < t->columns; col++)
		for (i = 0; i < argc; i++) {
			sqlite3_value *v;

			if (s->column[i] != col)
				continue;
			if (s->op[i] != LIST) {
				tell(t, col, s->op[i], argv[i], 0);
				continue;
			}
			s->op[i] = EQUALS; /* so does osquery */
			for (int rc = sqlite3_vtab_in_first(argv[i], &v); rc == SQLITE_OK && v;
			     rc = sqlite3_vtab_in_next(argv[i], &v))
				tell(t, col, EQUALS, v, 1);
		}
	putchar('\n');
	return SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *c)
{
	((struct cursor *)c)->row++;
	return SQLITE_OK;
}

static int eof(sqlite3_vtab_cursor *c)
{
	return ((struct cursor *)c)->row >= ((struct vtab *)c->pVtab)->table->rows;
}

static int column(sqlite3_vtab_cursor *c, sqlite3_context *ctx, int n)
{
	struct table *t = ((struct vtab *)c->pVtab)->table;
	const char *text = t->cell[((struct cursor *)c)->row][n];

	if (!strcmp(t->column[n].type, "TEXT"))
		sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
	else if (*text)
		sqlite3_result_int64(ctx, atoll(text));
	return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *c, sqlite3_int64 *id)
{
	*id = ((struct cursor *)c)->row;
	return SQLITE_OK;
}

static sqlite3_module module = {0, connect, connect, best_index, disconnect, disconnect, open_cursor,
	close_cursor, filter, next, eof, column, rowid};

static void query(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int rows = 0, rc;

	nscans = 0;
	rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	while (stmt && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		rows++;
	if (rc == SQLITE_DONE)
		printf("\t%d rows\n", rows);
	else
		printf("\t%s\n", sqlite3_errmsg(db));
	sqlite3_finalize(stmt);
}

int main(void)
{
	static char line[1 << 16], create[256];
	struct table *t = NULL;
	char *at;
	sqlite3 *db;

	sqlite3_open(":memory:", &db);
	while (fgets(line, sizeof line, stdin)) {
		if (line[0] == '\t')
			continue;
		fputs(line, stdout);
		line[strcspn(line, "\n")] = 0;
		at = strchr(line, ' ');
		if (!strncmp(line, "table ", 6) || !strncmp(line, "extension ", 10)) {
			tables[ntables++] = t = calloc(1, sizeof *t);
			t->extension = line[0] == 'e';
			strcpy(t->name, at + 1);
		} else if (!strncmp(line, "column ", 7)) {
			struct column *c = &t->column[t->columns++];

			sscanf(at, "%s %s %d", c->name, c->type, &c->options);
			if (t->extension && !c->options)
				c->options = INDEX; /* extensions_default_index */
		} else if (!strncmp(line, "row ", 4)) {
			for (int i = 0; i < t->columns; i++) {
				char *end = strchr(++at, '|');

				if (end)
					*end = 0;
				t->cell[t->rows][i] = strdup(at);
				at = end ? end : at + strlen(at) - 1;
			}
			t->rows++;
		} else if (!strncmp(line, "CREATE TABLE ", 13)) {
			strcpy(t->schema, line);
			sqlite3_create_module(db, t->name, &module, t);
			snprintf(create, sizeof create, "CREATE VIRTUAL TABLE temp.%s USING %s", t->name, t->name);
			if (sqlite3_exec(db, create, NULL, NULL, NULL))
				fprintf(stderr, "%s: %s\n", create, sqlite3_errmsg(db));
		} else if (line[0] && line[0] != '#') {
			query(db, line[0] == '?' ? line + 1 : line);
		}
	}
	return 0;
}
