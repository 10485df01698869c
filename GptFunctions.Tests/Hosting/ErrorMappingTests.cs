using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Npgsql;

namespace GptFunctions.Tests.Hosting;

/// <summary>
/// hosting.md 13 and 14, architecture.md 3: a bug is 500, an outage 503 with Retry-After, each in the format of its path; never an empty body.
/// </summary>
public sealed class ErrorMappingTests(ErrorMappingFixture fixture) : IClassFixture<ErrorMappingFixture>
{
    private readonly TestApp app = fixture.App;

    [Fact]
    public async Task Function_that_throws_answers_problem_json_and_logs_the_correlation_id()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/test-errors/bug", UriKind.Relative))
        {
            Headers = { { "x-correlation-id", "bug-1" } },
        };
        using var answer = await app.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal("no-store", answer.Headers.CacheControl?.ToString());
        Assert.Null(answer.Headers.RetryAfter);
        using var problem = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal(["about:blank", "Internal error", "500", "Something went wrong on our side. Quote the correlation id when you report it.", "bug-1"],
            ((string[])["type", "title", "status", "detail", "correlation_id"]).Select(member => problem.RootElement.GetProperty(member).ToString()));
        var line = Assert.Single(app.Log.Lines, line => line.Contains("bug-1", StringComparison.Ordinal));
        Assert.StartsWith("Error 1001 GET /test-errors/bug failed", line, StringComparison.Ordinal);
        Assert.Contains("a secret detail of the bug", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Function_that_throws_leaks_nothing_and_nothing_that_it_had_set()
    {
        using var answer = await GetAsync("/test-errors/bug");
        Assert.DoesNotContain("secret detail", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.False(answer.Headers.Contains("Set-Cookie"));
        Assert.Null(answer.Headers.ETag);
    }

    [Theory]
    [InlineData("socket")]
    [InlineData("admin-shutdown")]
    [InlineData("too-many-connections")]
    [InlineData("wrong-password")]
    [InlineData("timeout")]
    [InlineData("service")]
    public async Task Outage_answers_503_with_Retry_After_and_a_warning(string kind)
    {
        using var answer = await GetAsync("/test-errors/outage?kind=" + kind);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(2), answer.Headers.RetryAfter?.Delta);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        var id = Assert.Single(answer.Headers.GetValues("x-correlation-id"));
        Assert.StartsWith("Warning 1002", Assert.Single(app.Log.Lines, line => line.Contains(id, StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Statement_that_the_database_refuses_is_a_bug_not_an_outage()
    {
        using var answer = await GetAsync("/test-errors/outage?kind=syntax");
        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
    }

    /// <summary>RFC 6749 4.1.2.1: server_error and temporarily_unavailable; never invalid_grant, which makes clients drop their tokens.</summary>
    [Theory]
    [InlineData("/oauth/test-errors?kind=bug", 500, "server_error")]
    [InlineData("/oauth/test-errors?kind=socket", 503, "temporarily_unavailable")]
    public async Task OAuth_path_answers_oauth_json(string path, int status, string error)
    {
        using var answer = await GetAsync(path);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal("application/json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal("no-store", answer.Headers.CacheControl?.ToString());
        Assert.Equal(status == 503, answer.Headers.RetryAfter is not null);
        using var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal(error, body.RootElement.GetProperty("error").GetString());
        Assert.NotEmpty(body.RootElement.GetProperty("error_description").GetString()!);
    }

    [Theory]
    [InlineData("/oauth/authorize/test-errors?kind=bug", 500, "Internal error")]
    [InlineData("/oauth/authorize/test-errors?kind=socket", 503, "Temporarily unavailable")]
    public async Task Page_path_answers_a_page_with_the_correlation_id(string path, int status, string title)
    {
        using var answer = await GetAsync(path);
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal("text/html", answer.Content.Headers.ContentType?.MediaType);
        var html = await answer.Content.ReadAsStringAsync();
        Assert.Contains(title, html, StringComparison.Ordinal);
        Assert.Contains(Assert.Single(answer.Headers.GetValues("x-correlation-id")), html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_that_breaks_off_half_way_is_no_whole_answer_for_the_caller()
    {
        await Assert.ThrowsAsync<HttpRequestException>(async () =>
        {
            using var answer = await GetAsync("/test-errors/half");
            await answer.Content.ReadAsStringAsync();
        });
    }

    /// <summary>Whatever the code that it interrupts throws: a caller who hangs up is no error of ours.</summary>
    [Theory]
    [InlineData("cancelled")]
    [InlineData("io")]
    [InlineData("disposed")]
    public async Task Caller_who_hangs_up_is_no_error_in_the_log(string kind)
    {
        var call = ErrorTestFunctions.HangUps[kind];
        var before = app.Log.Lines.Count(IsFailure);
        using var hangUp = new CancellationTokenSource();
        var answer = app.Http.GetAsync(new Uri("/test-errors/hang-up?kind=" + kind, UriKind.Relative), hangUp.Token);
        await call.Begun.Task.WaitAsync(TimeSpan.FromSeconds(20));

        await hangUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer);
        await call.Ended.Task.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(before, app.Log.Lines.Count(IsFailure));

        static bool IsFailure(string line) => line.StartsWith("Error", StringComparison.Ordinal) || line.StartsWith("Warning", StringComparison.Ordinal);
    }

    /// <summary>What both hosts decide by; a bug that happens to a caller who has gone stays a bug.</summary>
    [Fact]
    public void Hang_up_is_told_from_bugs_and_outages()
    {
        var gone = new CancellationToken(canceled: true);
        foreach (var error in (Exception[])[new OperationCanceledException(), new IOException("broken"), new ObjectDisposedException("HttpContext")])
        {
            Assert.Equal((true, false), (ErrorMapper.IsHangUp(error, gone), ErrorMapper.IsHangUp(error, CancellationToken.None)));
        }

        Assert.All(
            (Exception[])[new InvalidOperationException("a bug"), ErrorTestFunctions.Make("socket")],
            error => Assert.False(ErrorMapper.IsHangUp(error, gone)));
        Assert.True(ErrorMapper.IsHangUp(new Microsoft.AspNetCore.Connections.ConnectionResetException("reset"), CancellationToken.None));
    }

    private Task<HttpResponseMessage> GetAsync(string path) => app.Http.GetAsync(new Uri(path, UriKind.Relative));
}

public sealed class ErrorMappingFixture : TestFunctionsFixture
{
    protected override IReadOnlyList<string> Functions =>
        [
            nameof(ErrorTestFunctions.TestErrorBug), nameof(ErrorTestFunctions.TestErrorOutage), nameof(ErrorTestFunctions.TestErrorOAuth),
            nameof(ErrorTestFunctions.TestErrorPage), nameof(ErrorTestFunctions.TestErrorHalf), nameof(ErrorTestFunctions.TestErrorHangUp),
        ];
}

public static class ErrorTestFunctions
{
    [Function(nameof(TestErrorBug))]
    public static async Task<IResult> TestErrorBug([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "test-errors/bug")] HttpRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        request.HttpContext.Response.Cookies.Append("half", "made");
        request.HttpContext.Response.Headers.ETag = "\"half\"";
        await Task.Yield();
        throw new InvalidOperationException("a secret detail of the bug");
    }

    [Function(nameof(TestErrorOutage))]
    public static IResult TestErrorOutage([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "test-errors/outage")] HttpRequest request) =>
        throw Make(request);

    [Function(nameof(TestErrorOAuth))]
    public static IResult TestErrorOAuth([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "oauth/test-errors")] HttpRequest request) =>
        throw Make(request);

    [Function(nameof(TestErrorPage))]
    public static IResult TestErrorPage([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "oauth/authorize/test-errors")] HttpRequest request) =>
        throw Make(request);

    [Function(nameof(TestErrorHalf))]
    public static async Task<IResult> TestErrorHalf([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "test-errors/half")] HttpRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        await request.HttpContext.Response.WriteAsync("half of ");
        await request.HttpContext.Response.Body.FlushAsync();
        throw new InvalidOperationException("too late for another answer");
    }

    /// <summary>One call for each kind, so that a test knows where it stands.</summary>
    internal static Dictionary<string, (TaskCompletionSource Begun, TaskCompletionSource Ended)> HangUps { get; } =
        ((string[])["cancelled", "io", "disposed"]).ToDictionary(
            kind => kind, _ => (new TaskCompletionSource(), new TaskCompletionSource()), StringComparer.Ordinal);

    [Function(nameof(TestErrorHangUp))]
    public static async Task<IResult> TestErrorHangUp(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "test-errors/hang-up")] HttpRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var kind = request.Query["kind"].ToString();
        var (begun, ended) = HangUps[kind];
        request.HttpContext.Response.OnCompleted(() =>
        {
            ended.SetResult();
            return Task.CompletedTask;
        });
        begun.SetResult();
        try
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }
        catch (OperationCanceledException) when (kind != "cancelled")
        {
            throw kind == "io" ? new IOException("the connection is gone") : new ObjectDisposedException("the request");
        }

        return Results.Empty;
    }

    private static Exception Make(HttpRequest? request) => Make(request?.Query["kind"].ToString());

    internal static Exception Make(string? kind) => kind switch
    {
        "socket" => new NpgsqlException("Exception while connecting", new SocketException((int)SocketError.ConnectionRefused)),
        "admin-shutdown" => Refusal(PostgresErrorCodes.AdminShutdown),
        "too-many-connections" => Refusal(PostgresErrorCodes.TooManyConnections),
        "wrong-password" => Refusal(PostgresErrorCodes.InvalidPassword),
        "syntax" => Refusal(PostgresErrorCodes.SyntaxError),
        "timeout" => new NpgsqlException("Exception while reading from stream", new TimeoutException()),
        "service" => new ServiceOutageException("the identity provider does not answer"),
        _ => new InvalidOperationException("a bug"),
    };

    private static PostgresException Refusal(string sqlState) => new("refused", "FATAL", "FATAL", sqlState);
}
