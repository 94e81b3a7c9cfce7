#[vmstate(name = "mouse")]
pub struct Mouse {
    pub buttons: u8,
    pub r#type: u16,
    #[vmstate(rename = "parent_obj.position")]
    pub position: [i32; 2],
}
