using GptFunctions.Data;

namespace GptFunctions.Tests.Data;

public sealed class SqlTests
{
    [Theory]
    [InlineData("SELECT @b, @a, @b", "SELECT $1, $2, $1", "b a")]
    [InlineData("SELECT @user, @user_id, @user", "SELECT $1, $2, $1", "user user_id")]
    [InlineData("SELECT a @> b, a <@ b, @a::text[] @> @b", "SELECT a @> b, a <@ b, $1::text[] @> $2", "a b")]
    [InlineData("SELECT 'somebody@example.com', '@@x'", "SELECT 'somebody@example.com', '@@x'", "")]
    [InlineData("SELECT 1", "SELECT 1", "")]
    public void Names_are_numbered_in_the_order_of_their_first_use(string text, string numbered, string names)
    {
        var sql = new Sql(text);
        Assert.Equal(numbered, sql.Text);
        Assert.Equal(names, string.Join(' ', sql.Names));
    }

    [Fact]
    public void A_parameter_that_the_statement_does_not_have_is_named()
    {
        var error = Assert.Throws<ArgumentException>(() => new Statement(new Sql("SELECT @now")).Bind("noon", 1));
        Assert.Contains("@noon", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_parameter_without_a_value_is_named()
    {
        var error = Assert.Throws<InvalidOperationException>(() => new Statement(new Sql("SELECT @now, @client_id")).Bind("now", 1).ToBatchCommand());
        Assert.Contains("@client_id", error.Message, StringComparison.Ordinal);
    }
}
