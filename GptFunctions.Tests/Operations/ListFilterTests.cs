using System.Net;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Operations;

/// <summary>operations.md 6: lists are narrowed by their URL, and a filter that means nothing is told so.</summary>
public sealed class ListFilterTests(OperationsFixture<ListFilterTests> fixture) : IClassFixture<OperationsFixture<ListFilterTests>>
{
    [Theory]
    [InlineData("messages?where=quarantine", HttpStatusCode.OK, "Every message was an event.", "Every event has a queue.")]
    [InlineData("messages?where=stranded%20events", HttpStatusCode.OK, "Every event has a queue.", "No message was given up.")]
    [InlineData("messages?where=", HttpStatusCode.OK, "No message was given up.", "Where is one of")]
    [InlineData(
        "messages?where=nowhere", HttpStatusCode.BadRequest, "Where is one of dead letters, quarantine, stranded events.", "Every event has a queue.")]
    [InlineData("purge?kind=weekly", HttpStatusCode.BadRequest, "Kind is run or dry run.", "Runs, newest first")]
    public async Task Lists_are_narrowed_by_their_url(string path, HttpStatusCode status, string shown, string left)
    {
        var browser = await fixture.SignInAsync(OperationsFixture<ListFilterTests>.Operator);
        using var answer = await browser.GetAsync("/operations/" + path);
        var page = WebUtility.HtmlDecode(await answer.Content.ReadAsStringAsync());

        Assert.Equal(status, answer.StatusCode);
        Assert.Contains(shown, page, StringComparison.Ordinal);
        Assert.DoesNotContain(left, page, StringComparison.Ordinal);
    }
}
