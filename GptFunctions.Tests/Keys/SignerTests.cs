using GptFunctions.Tokens;

namespace GptFunctions.Tests.Keys;

/// <summary>oauth.md 29: of several keys the first that has been published for long enough signs.</summary>
public sealed class SignerTests
{
    private static readonly TimeSpan LongEnough = TimeSpan.FromSeconds(600);
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly Dictionary<string, SigningKey> keys = new(StringComparer.Ordinal);

    /// <param name="list">Keys by name, newest first; one in brackets is a public half.</param>
    /// <param name="published">Seconds since each was published; what is missing was not.</param>
    /// <param name="expected">Who signs, and in how many seconds another one may; nobody when missing.</param>
    [Theory]
    [InlineData("a", "", "a")] // a fresh installation: nobody knows, and there is no choice
    [InlineData("a", "a:0", "a 600")]
    [InlineData("b a", "a:9999 b:0", "a 600")]
    [InlineData("b a", "a:9999 b:599", "a 1")]
    [InlineData("b a", "a:9999 b:600", "b")]
    [InlineData("b a", "", "a")] // before the database has answered: every replica has the older
    [InlineData("b a", "a:9999", "a")] // a file has just brought b, and nobody was told yet
    [InlineData("b a", "a:10 b:0", "a 590")] // the first rotation comes early
    [InlineData("b a", "a:0 b:0", "a 600")] // all new, published at once
    [InlineData("c b a", "a:0 b:0 c:0", "a 600")]
    [InlineData("c b a", "a:9999 b:9999 c:0", "b 600")]
    [InlineData("c b a", "a:9999 b:500 c:300", "a 100")]
    [InlineData("b", "a:9999 b:0", "b 600")] // replaced in one step: there is nothing else to sign with
    [InlineData("b (a)", "a:9999 b:0", "b 600")]
    [InlineData("(b) a", "a:0 b:9999", "a 600")]
    [InlineData("a b", "a:9999 b:9999", "a")] // one behind the others never comes to it
    [InlineData("a b", "a:9999 b:0", "a")]
    public void Signs_the_first_that_has_been_published_for_long_enough(string list, string published, string expected)
    {
        ArgumentNullException.ThrowIfNull(list);
        ArgumentNullException.ThrowIfNull(published);
        var since = published.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(text => text.Split(':'))
            .ToDictionary(pair => Key(pair[0]).KeyId, pair => Now - TimeSpan.FromSeconds(int.Parse(pair[1], null)), StringComparer.Ordinal);
        var signer = Signer.Of([.. list.Split(' ').Select(Key)], since, LongEnough, Now);
        var next = signer.Until == DateTimeOffset.MaxValue ? "" : $" {(signer.Until - Now).TotalSeconds}";
        Assert.Equal(expected, keys.Single(key => key.Value.CanSign && key.Value.KeyId == signer.Key.KeyId).Key + next);
    }

    [Fact]
    public void Without_a_time_to_be_published_the_first_signs_at_once()
    {
        var signer = Signer.Of(
            [Key("b"), Key("a")], new Dictionary<string, DateTimeOffset> { [Key("a").KeyId] = Now, [Key("b").KeyId] = Now }, TimeSpan.Zero, Now);
        Assert.Equal((Key("b"), DateTimeOffset.MaxValue), (signer.Key, signer.Until));
    }

    private SigningKey Key(string name)
    {
        if (name[0] == '(')
        {
            Assert.True(SigningKey.TryParsePublic(Key(name.Trim('(', ')')).ToPublicText(), out var half));
            Assert.False(half!.CanSign);
            return half;
        }

        if (!keys.TryGetValue(name, out var key))
        {
            Assert.True(SigningKey.TryParse(SigningKey.Generate(), out key));
            keys[name] = key!;
        }

        return key!;
    }
}
