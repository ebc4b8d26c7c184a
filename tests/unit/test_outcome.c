/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "callback/outcome.h"

static struct callback_outcome read_failure(const char *message, const char *ec)
{
	struct callback_outcome o = {.state = CALLBACK_NONE};

	assert_int_equal(callback_outcome_read(203, NULL, NULL,
					       "CallbackFailed", message, ec,
					       "5C3D", &o),
			 0);
	return o;
}

/* The messages of oss-protocol 3.9. */
static const struct {
	const char *message;
	const char *ec;
	int status;
	bool down;
	const char *advice; /* how it begins */
} failures[] = {
	{"Error status : 400.",									  "0007-00000203", 400, false,
	 "The application refused the request"																	 },
	{"Error status : 301.",									  "0007-00000203", 301, false,
	 "The address redirects"																		       },
	{"Error status : 502.",									  "0007-00000203", 502, true,
	 "Nothing listens there"																		       },
	{"Error status : 503.",									  "0007-00000203", 503, true,
	 "The application failed"																		      },
	{"Error status : 404.",									  "0007-00000203", 404, false,
	 "The application has nothing"																		 },
	{"Error status : 201.",									  "0007-00000203", 201, false, "Only status 200"                                },
	{"Error status : -1.OSS can not connect to your callbackUrl, please check it.",
	 "0007-00000203",												 0,   true,  "OSS cannot reach the address"                   },
	{"Error status : -1 8.8.8.8:9090 reply timeout, cost:5000ms, timeout:5000ms (err -4, errno115)",
	 "0007-00000202",												 0,   true,
	 "The application did not answer within 5 seconds"															     },
	{"Cost too long time.",									  "0007-00000202", 0,   true,
	 "The application did not answer within 5 seconds"															     },
	{"Response body is not valid json format.",						      "0007-00000205", 0,   false,
	 "The application's answer is not JSON"																	},
	{"Error Status : 400.User server missing content-length.",                                       "",              400,
	 false,														       "The application answered without Content-Length"},
	{"Error Status : 400.User server return invalid conent-length value.",
	 "",													      400, false, "The application's Content-Length is not"        },
	{"Error Status : 400.User server return too long content-length value.",
	 "",													      400, false, "The application's answer is too large"          },
	{"Get image info failed.",								       "",              0,   false,
	 "The body asks for ${imageInfo...}"																	   },
	{"Too many callback requests.",								  "",              0,   true,  "OSS limits callbacks"                           },
	{"Error status : 5921.",									 "0007-00000203", 0,   false,
	 "The application failed"																		      },
	{"Something new.",									       "0007-00000205", 0,   false,
	 "The application's answer is not"																	     },
	{"Something new.",									       "",              0,   false, NULL					     },
};

static void failures_tell_the_application_s_status_and_what_to_do(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		const char *message = failures[i].message;
		const char *want = failures[i].advice;
		const char *advice = callback_advice(message, failures[i].ec);
		struct callback_outcome o =
			read_failure(message, failures[i].ec);

		assert_int_equal(o.state, CALLBACK_FAILED);
		assert_int_equal(o.oss_status, 203);
		assert_string_equal(o.error, message);
		assert_string_equal(o.error_code, "CallbackFailed");
		assert_string_equal(o.request_id, "5C3D");
		assert_null(o.response);
		if (o.server_status != failures[i].status ||
		    callback_is_server_down(&o) != failures[i].down)
			fail_msg("%s: status %d, down %d", message,
				 o.server_status, callback_is_server_down(&o));
		if (!want != !advice ||
		    (want && strncmp(advice, want, strlen(want)) != 0))
			fail_msg("%s: %s", message, advice);
		callback_outcome_release(&o);
	}
}

/* Those of a request that OSS refused, and every EC code of the table. */
static void every_refusal_has_its_remedy(void **state)
{
	static const char *const messages[] = {
		"The callback configuration is not base64 encoded.",
		"The callback configuration is not json format.",
		"The callback url configuration is invalid.",
		"Can not get ip by this host.",
		"Private address is forbidden to callback.",
		"The callback body is empty.",
		"The callback body is invalid.",
		"The callback host configuration is invalid.",
		"The callback body type configuration is invalid.",
		"The body type of callback is not supported.",
		"The number of callback url exceed max value.",
		"The length of callback exceed max value.",
		"The length of callback var exceed max value.",
		"The callback var is not expecten json.",
		"Either the callback query string parameter or the x-oss-callback header should be specified, not both.",
	};
	static const char *const codes[] = {
		"0007-00000002", "0007-00000003", "0007-00000004",
		"0007-00000005", "0007-00000007", "0007-00000008",
		"0007-00000009", "0007-00000010", "0007-00000011",
		"0007-00000012", "0007-00000027", "0007-00000102",
		"0007-00000103", "0007-00000202", "0007-00000203",
		"0007-00000205"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(messages); i++)
		if (!callback_advice(messages[i], NULL))
			fail_msg("%s", messages[i]);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (!callback_advice(NULL, codes[i]))
			fail_msg("%s", codes[i]);
	assert_string_not_equal(
		callback_advice(messages[11], NULL),
		callback_advice(messages[12], NULL)); /* callback, its vars */
	assert_null(callback_advice(NULL, NULL));
	assert_null(callback_advice("", "0007-00000999"));
}

static void an_answer_is_kept_byte_for_byte(void **state)
{
	static const char answer[] = "{\"a\":\"\0\n\"}";
	AUTO(buf_release) struct buf body = BUF_INIT;
	struct callback_outcome o;

	(void)state;
	buf_add(&body, answer, sizeof(answer) - 1);
	assert_int_equal(callback_outcome_read(200, &body, "application/json",
					       NULL, NULL, NULL, "55F6", &o),
			 0);
	assert_int_equal(o.state, CALLBACK_OK);
	assert_int_equal(o.oss_status, 200);
	assert_int_equal(o.server_status, 200);
	assert_int_equal(o.response_len, sizeof(answer) - 1);
	assert_memory_equal(o.response, answer, sizeof(answer));
	assert_string_equal(o.response_type, "application/json");
	assert_null(o.error);
	assert_false(callback_is_server_down(&o));
	callback_outcome_release(&o);
}

static void a_200_without_an_answer_means_that_nothing_was_called(void **state)
{
	static const char *const bodies[] = {
		"",
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUploadResult>",
		" <CompleteMultipartUploadResult xmlns=\"http://doc.oss-cn-hangzhou.aliyuncs.com\">",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		AUTO(buf_release) struct buf body = BUF_INIT;
		struct callback_outcome o;

		buf_adds(&body, bodies[i]);
		assert_int_equal(callback_outcome_read(200, &body,
						       "application/xml", "",
						       "", "", "", &o),
				 0);
		assert_int_equal(o.state, CALLBACK_FAILED);
		assert_int_equal(o.oss_status, 200);
		assert_string_equal(o.error_code, "NotPerformed");
		assert_non_null(callback_advice(o.error, o.ec));
		assert_null(o.request_id);
		callback_outcome_release(&o);
	}
}

static void a_failure_without_a_reason_says_so(void **state)
{
	struct callback_outcome o = read_failure("", "");

	(void)state;
	assert_int_equal(o.state, CALLBACK_FAILED);
	assert_string_equal(o.error, "OSS gave no reason that can be read.");
	assert_null(o.ec);
	callback_outcome_release(&o);
}

static void an_application_may_answer_xml(void **state)
{
	AUTO(buf_release) struct buf body = BUF_INIT;
	struct callback_outcome o;

	(void)state;
	buf_adds(&body, "<?xml version=\"1.0\"?><ok/>");
	assert_int_equal(callback_outcome_read(200, &body, "application/xml",
					       NULL, NULL, NULL, NULL, &o),
			 0);
	assert_int_equal(o.state, CALLBACK_OK);
	callback_outcome_release(&o);
}

static void states_have_names(void **state)
{
	enum callback_state s = CALLBACK_HELD;

	(void)state;
	for (int i = CALLBACK_NONE; i <= CALLBACK_UNKNOWN; i++) {
		const char *name = callback_state_name((enum callback_state)i);

		assert_int_equal(callback_state_parse(name, &s), 0);
		assert_int_equal(s, i);
	}
	assert_string_equal(callback_state_name(CALLBACK_PENDING), "pending");
	assert_int_equal(callback_state_parse("OK", &s), -EINVAL);
	assert_int_equal(s, CALLBACK_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			failures_tell_the_application_s_status_and_what_to_do),
		cmocka_unit_test(every_refusal_has_its_remedy),
		cmocka_unit_test(an_answer_is_kept_byte_for_byte),
		cmocka_unit_test(
			a_200_without_an_answer_means_that_nothing_was_called),
		cmocka_unit_test(a_failure_without_a_reason_says_so),
		cmocka_unit_test(an_application_may_answer_xml),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
