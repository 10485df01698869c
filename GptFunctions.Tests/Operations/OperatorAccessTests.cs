using System.Net;
using GptFunctions.Hosting;
using GptFunctions.Operations.Pages;
using GptFunctions.Tests.Support;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Configuration;

namespace GptFunctions.Tests.Operations;

/// <summary>operations.md 1 to 3: who finds /operations, who may act there, and with which form.</summary>
public sealed class OperatorAccessTests(OperationsFixture<OperatorAccessTests> fixture) : IClassFixture<OperationsFixture<OperatorAccessTests>>
{
    private static readonly IReadOnlyList<string> Actions = Routes("post");
    private static readonly IReadOnlyList<string> Pages = Routes("get");
    private readonly TestApp app = fixture.App;

    public static TheoryData<string> AllActions => [.. Actions];

    [Fact]
    public async Task Stranger_gets_what_a_path_that_does_not_exist_gets()
    {
        var stranger = await fixture.SignInAsync("user_stranger");
        var nowhere = await AnswerAsync(stranger, HttpMethod.Get, "/operation");
        Assert.StartsWith("NotFound", nowhere, StringComparison.Ordinal);
        foreach (var page in Pages)
        {
            Assert.Equal(nowhere, await AnswerAsync(stranger, HttpMethod.Get, page));
        }

        foreach (var action in Actions)
        {
            Assert.Equal(await AnswerAsync(stranger, HttpMethod.Post, "/operation"), await AnswerAsync(stranger, HttpMethod.Post, action));
        }
    }

    [Fact]
    public async Task Nobody_is_let_in_while_nobody_is_named()
    {
        await using var unnamed = await app.StartReplicaAsync(("OPERATORS", ""), ("OPERATION_VIEWERS", null));
        var somebody = (await fixture.SignInAsync(OperationsFixture<OperatorAccessTests>.Operator)).At(unnamed.Http);
        foreach (var browser in (TestBrowser[])[somebody, new TestBrowser(unnamed.Http)])
        {
            var nowhere = await AnswerAsync(browser, HttpMethod.Get, "/operation");
            foreach (var page in Pages)
            {
                Assert.Equal(nowhere, await AnswerAsync(browser, HttpMethod.Get, page));
            }
        }
    }

    [Fact]
    public async Task Page_asks_for_a_sign_in_and_leads_back_with_its_filters()
    {
        var browser = new TestBrowser(app.Http);
        using var asked = await browser.SendAsync(new(HttpMethod.Get, new Uri("/operations/audit?type=gpt.oauth.authorize", UriKind.Relative)));
        Assert.Equal(HttpStatusCode.Found, asked.StatusCode);
        using var signIn = await browser.GetAsync(asked.Headers.Location!.ToString());
        using var page = await browser.SubmitAsync(signIn, ("user_id", OperationsFixture<OperatorAccessTests>.Viewer));
        Assert.Contains("value=\"gpt.oauth.authorize\"", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        foreach (var action in Actions)
        {
            using var answer = await new TestBrowser(app.Http).PostAsync(action, ("reason", "why"));
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        }
    }

    [Fact]
    public async Task Pages_are_shown_to_operators_and_viewers_in_the_frame_with_headers_against_framing_and_scripts()
    {
        foreach (var (user, role) in ((string, string)[])
            [(OperationsFixture<OperatorAccessTests>.Operator, "operator"), (OperationsFixture<OperatorAccessTests>.Viewer, "viewer")])
        {
            var browser = await fixture.SignInAsync(user);
            foreach (var path in Pages)
            {
                using var page = await browser.GetAsync(path);
                var html = await page.Content.ReadAsStringAsync();
                Assert.True(page.StatusCode == HttpStatusCode.OK, $"{path}: {page.StatusCode}");
                Assert.Contains($"{user}</bdi>, {role}", html, StringComparison.Ordinal);
                Assert.All(OperationsFrame.Navigation, entry => Assert.Contains($"href=\"{entry.Path}\"", html, StringComparison.Ordinal));
                var policy = Assert.Single(page.Headers.GetValues("Content-Security-Policy"));
                Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
                Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
                Assert.DoesNotContain("script", policy, StringComparison.Ordinal);
                Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
                Assert.Equal("DENY", Assert.Single(page.Headers.GetValues("X-Frame-Options")));
                Assert.True(page.Headers.CacheControl!.NoStore);
            }
        }
    }

    /// <summary>Its form comes from nowhere: a viewer is shown none.</summary>
    [Theory]
    [MemberData(nameof(AllActions))]
    public async Task Action_is_refused_to_viewers(string action)
    {
        var before = await CountAsync();
        using var answer = await (await fixture.SignInAsync(OperationsFixture<OperatorAccessTests>.Viewer)).PostAsync(action, Form(action));
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains("You may look, and not act", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(before, await CountAsync());
    }

    [Theory]
    [MemberData(nameof(AllActions))]
    public async Task Action_is_refused_without_the_form_of_this_session(string action)
    {
        ArgumentNullException.ThrowIfNull(action);
        var (mine, other) = (
            await fixture.SignInAsync(OperationsFixture<OperatorAccessTests>.Operator), await fixture.SignInAsync("user_second_operator"));
        var before = await CountAsync();
        var (token, foreign) = (await CsrfAsync(mine, "audit?confirm=export"), await CsrfAsync(other, "audit?confirm=export"));
        Assert.NotEqual(token, foreign);
        foreach (var csrf in (string?[])[null, "", "x", foreign, action.EndsWith("audit/export", StringComparison.Ordinal) ? token + "x" : token])
        {
            using var answer = await mine.PostAsync(action, [.. Form(action), ("csrf", csrf)]);
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
            Assert.Contains("This form is not of your session", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        Assert.Equal(before, await CountAsync());
    }

    [Fact]
    public async Task Notice_is_shown_only_as_it_was_given()
    {
        var browser = await fixture.SignInAsync(OperationsFixture<OperatorAccessTests>.Operator);
        var html = await OperationsFixture<OperatorAccessTests>.ReadAsync(browser, "/operations/audit?notice=Everything%20is%20over&seal=x");
        Assert.DoesNotContain("Everything is over", html, StringComparison.Ordinal);
    }

    /// <summary>The paths of all functions below /operations that take a method.</summary>
    private static List<string> Routes(string method) =>
    [
        .. FunctionCatalog.Find([typeof(FunctionCatalog).Assembly], new ConfigurationBuilder().Build())
            .Select(function => function.Trigger).OfType<HttpTriggerAttribute>()
            .Where(trigger => (trigger.Route + "/").StartsWith("operations/", StringComparison.Ordinal) && trigger.Methods!.Contains(method))
            .Select(trigger => "/" + trigger.Route),
    ];

    private static (string Name, string? Value)[] Form(string action) => [("reason", "because " + action), ("user", "user_somebody"), ("app", "first-client")];

    private static async Task<string> CsrfAsync(TestBrowser browser, string page)
    {
        var html = await OperationsFixture<OperatorAccessTests>.ReadAsync(browser, "/operations/" + page);
        return OperationsFixture<OperatorAccessTests>.ActionForm(html).Fields.Single(field => field.Name == "csrf").Value!;
    }

    /// <summary>Status, headers and body, but what differs from request to request.</summary>
    private static async Task<string> AnswerAsync(TestBrowser browser, HttpMethod method, string path)
    {
        using var answer = await browser.SendAsync(new(method, new Uri(path, UriKind.Relative)));
        var headers = answer.Headers.Concat(answer.Content.Headers).Where(header => header.Key is not ("Date" or Correlation.Header))
            .Select(header => $"{header.Key}: {string.Join(' ', header.Value)}");
        return $"{answer.StatusCode}\n{string.Join('\n', headers.Order(StringComparer.Ordinal))}\n{await answer.Content.ReadAsStringAsync()}";
    }

    /// <summary>What operators did, as far as anybody was told.</summary>
    private async Task<long> CountAsync() =>
        await app.Database.CountAsync("outbox_messages", "routing_key LIKE 'gpt.operator.%'")
        + await app.Database.CountAsync("gpt_oauth_events", "event_type LIKE 'gpt.operator.%'");
}
