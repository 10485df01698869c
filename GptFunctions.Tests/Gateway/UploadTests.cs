using System.Text.Json;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.Gateway;

/// <summary>
/// Whose time runs: the upstream's while it is waited for (3 s here), the caller's while it sends (3 s without an octet here); and answers that
/// come before the upload has ended.
/// </summary>
public sealed class UploadTests(RawGatewayFixture<UploadTests> fixture) : IClassFixture<RawGatewayFixture<UploadTests>>
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private readonly TestApp app = fixture.App;

    /// <summary>
    /// An upload that takes longer than the upstream may, and that no pause of which is too long; each piece is there before the next is sent.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Slow_upload_passes_piece_by_piece_and_takes_none_of_the_upstreams_time(bool isLengthKnown)
    {
        var user = await fixture.Users.AddAsync();
        var received = 0;
        fixture.Upstream.Behaviour = async exchange =>
        {
            if (isLengthKnown)
            {
                for (; received < 5; received++)
                {
                    await exchange.Reader.TakeAsync(1, exchange.Stop);
                }
            }
            else
            {
                await exchange.ReadBodyAsync();
            }

            await exchange.SendAsync(Ok);
            return false;
        };
        using var connection = new RawConnection(app.Http);
        await connection.SendAsync(Head(user, isLengthKnown ? "Content-Length: 5" : "Transfer-Encoding: chunked"));
        for (var piece = 1; piece <= 5; piece++)
        {
            await connection.SendAsync(isLengthKnown ? "x" : "1\r\nx\r\n");
            await (isLengthKnown ? Wait.UntilAsync(() => received >= piece) : Task.CompletedTask);
            await Task.Delay(TimeSpan.FromSeconds(0.8)); // the passing of time is what is tested: 4 s in all
        }

        await connection.SendAsync(isLengthKnown ? "" : "0\r\n\r\n");

        var answer = await connection.AnswerAsync("POST");
        Assert.Equal((200, "ok"), (answer.Status, answer.Text));
    }

    [Theory]
    [InlineData("Content-Length: 5", "x")]
    [InlineData("Content-Length: 5", "")]
    [InlineData("Transfer-Encoding: chunked", "1\r\nx\r\n")]
    public async Task Caller_who_sends_nothing_more_gets_408_and_the_upstream_sees_the_request_broken_off(string framing, string begin)
    {
        var user = await fixture.Users.AddAsync();
        var brokenOff = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        fixture.Upstream.Behaviour = async exchange =>
        {
            await exchange.IsHungUpAsync();
            brokenOff.SetResult();
            return false;
        };
        using var connection = new RawConnection(app.Http);
        await connection.SendAsync(Head(user, framing) + begin);

        var answer = await connection.AnswerAsync("POST");

        Assert.Equal((408, "UPLOAD_TIMEOUT", "close"), (answer.Status, Code(answer), answer["Connection"]));
        await brokenOff.Task.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal([408], await app.Database.ActionStatusesAsync(user.Subject, 1));
    }

    /// <summary>The upstream's time begins with the last octet.</summary>
    [Fact]
    public async Task Upstream_that_does_not_answer_a_whole_upload_is_504()
    {
        var user = await fixture.Users.AddAsync();
        fixture.Upstream.Behaviour = async exchange => await exchange.IsHungUpAsync();
        using var connection = new RawConnection(app.Http);

        var answer = await connection.CallAsync("POST", "/gpt/open", user.Token, "question");

        Assert.Equal((504, "UPSTREAM_TIMEOUT"), (answer.Status, Code(answer)));
    }

    /// <summary>RFC 9110 7.5: an answer may come at any time. Whether the upstream then goes on reading, waits, or closes, the caller gets it.</summary>
    [Theory]
    [InlineData("Content-Length: 100000000", "", false)]
    [InlineData("Content-Length: 20000000", "some", false)]
    [InlineData("Content-Length: 20000000", "some", true)]
    [InlineData("Transfer-Encoding: chunked", "4\r\nsome\r\n", false)]
    [InlineData("Transfer-Encoding: chunked", "4\r\nsome\r\n", true)]
    internal async Task Answer_that_comes_before_the_upload_has_ended_is_passed_on(string framing, string begin, bool closes)
    {
        var user = await fixture.Users.AddAsync();
        fixture.Upstream.Behaviour = async exchange =>
        {
            await exchange.SendAsync("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 422 No\r\nContent-Length: 7\r\n\r\n");
            await exchange.SendAsync("refused");
            return !closes && await exchange.IsHungUpAsync(); // not another word is read
        };
        using var connection = new RawConnection(app.Http);
        await connection.SendAsync(Head(user, framing.Replace("100000000", "20000001", StringComparison.Ordinal)) + begin);

        var answer = await connection.AnswerAsync("POST");

        Assert.Equal((422, "refused"), (answer.Status, answer.Text));
        fixture.Upstream.Answers(Ok);
        using var next = new RawConnection(app.Http);
        Assert.Equal(200, (await next.CallAsync("POST", "/gpt/open", user.Token, "question")).Status);
    }

    /// <summary>An upload that fills every buffer on the way is given up as well.</summary>
    [Fact]
    public async Task Early_answer_reaches_a_caller_who_sends_as_fast_as_it_can()
    {
        var user = await fixture.Users.AddAsync();
        fixture.Upstream.Behaviour = async exchange =>
        {
            await exchange.SendAsync("HTTP/1.1 422 No\r\nContent-Length: 7\r\n\r\nrefused");
            return false;
        };
        for (var round = 0; round < 5; round++)
        {
            using var connection = new RawConnection(app.Http);
            await connection.SendAsync(Head(user, "Content-Length: 20000000"));
            var sending = connection.SendAsync(new string('x', 20_000_000));

            var answer = await connection.AnswerAsync("POST");

            Assert.Equal((422, "refused"), (answer.Status, answer.Text));
            await sending.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    [Theory]
    [InlineData("ffffffffffffffffff\r\n")] // more than any number holds
    [InlineData("fffffffff\r\n")]
    [InlineData("xyz\r\n")]
    [InlineData("4\r\nsomething else\r\n")]
    public async Task Body_with_broken_chunks_is_400(string chunks)
    {
        var user = await fixture.Users.AddAsync();
        fixture.Upstream.Behaviour = async exchange => !await exchange.IsHungUpAsync();
        using var connection = new RawConnection(app.Http);
        await connection.SendAsync(Head(user, "Transfer-Encoding: chunked") + chunks);

        Assert.Equal(400, (await connection.AnswerAsync("POST")).Status);

        using var token = new RawConnection(app.Http);
        await token.SendAsync(
            $"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        Assert.Equal(400, (await token.AnswerAsync("POST")).Status);
    }

    private static string? Code(RawAnswer answer) => JsonElement.Parse(answer.Text).GetProperty("code").GetString();

    private static string Head(GatewayUser user, string framing) =>
        $"POST /gpt/open HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.Token}\r\n{framing}\r\n\r\n";
}
