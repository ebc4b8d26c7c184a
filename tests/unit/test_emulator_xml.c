/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "emulator/xml.h"

static void text_is_escaped_and_comes_back(void **state)
{
	static const char odd[] = "a<b>&\"c'\t\n\r\xe4\xbd\xa0";
	AUTO(buf_release) struct buf out = BUF_INIT;
	AUTO(xml_freep) struct xml_node *root = NULL;

	(void)state;
	xml_begin(&out);
	xml_open(&out, "R");
	xml_elem(&out, "K", odd);
	xml_elem(&out, "N", NULL);
	xml_elemf(&out, "F", "%d<", 7);
	xml_close(&out, "R");
	assert_int_equal(xml_parse(buf_str(&out), out.len, &root), 0);
	assert_string_equal(root->name, "R");
	assert_string_equal(xml_child_text(root, "K"), odd);
	assert_string_equal(xml_child_text(root, "N"), "");
	assert_string_equal(xml_child_text(root, "F"), "7<");
	assert_null(xml_child(root, "X"));
}

static void children_keep_their_order(void **state)
{
	static const char text[] =
		"<L xmlns='urn:x'><P>1</P><!-- c --><P>2</P>\n<P>3</P></L>";
	AUTO(xml_freep) struct xml_node *root = NULL;
	int n = 0;

	(void)state;
	assert_int_equal(xml_parse(text, strlen(text), &root), 0);
	for (const struct xml_node *c = root->children; c; c = c->next)
		assert_int_equal(c->text[0], '1' + n++);
	assert_int_equal(n, 3);
}

static void deep_nesting_is_refused(void **state)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	struct xml_node *root = NULL;

	(void)state;
	for (int i = 0; i < 17; i++)
		buf_adds(&text, "<a>");
	for (int i = 0; i < 17; i++)
		buf_adds(&text, "</a>");
	assert_int_equal(xml_parse(buf_str(&text), text.len, &root), -EINVAL);
}

static void what_is_not_xml_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"<a>",
		"<a></b>",
		"<a>&nbsp;</a>",
		"<a/><b/>",
		"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
		"<a>\xff</a>",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct xml_node *root = (void *)1;

		if (xml_parse(bad[i], strlen(bad[i]), &root) != -EINVAL)
			fail_msg("%s", bad[i]);
		assert_ptr_equal(root, (void *)1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_escaped_and_comes_back),
		cmocka_unit_test(children_keep_their_order),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(what_is_not_xml_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
